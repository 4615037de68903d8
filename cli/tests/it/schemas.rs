//! The published schemas of `--json`. Every output of these tests is validated by its schema, in
//! `desk.rs`. `UPDATE_DOCUMENTS=1` writes `docs/schemas/till`.

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use kit::{prelude::*, schema::strict};
use std::{collections::HashMap, fs, path::PathBuf, sync::OnceLock};
use till::answers::{Published, published};

const FOLDER: &str = "docs/schemas/till";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join(FOLDER)
}

/// `till.order/1` is in `order.1.json`.
fn file(name: &str) -> String {
    let name = name.strip_prefix("till.").unwrap();
    format!("{}.json", name.replace('/', "."))
}

fn printed(schema: &Value) -> String {
    format!("{schema:#}\n")
}

/// The compiled schemas, as published and strict.
struct Compiled {
    schemas: Schemas,
    places: HashMap<&'static str, [SchemaIndex; 2]>,
}

fn compiled(all: Vec<Published>) -> Compiled {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.set_default_draft(Draft::V2020_12);
    compiler.enable_format_assertions();
    let mut places = HashMap::new();
    for Published { name, schema } in all {
        let both = [("open", schema.clone()), ("strict", strict(schema))];
        let index = both.map(|(kind, schema)| {
            let place = format!("https://schemas.example/{kind}/{name}");
            compiler.add_resource(&place, schema).unwrap();
            compiler.compile(&place, &mut schemas).unwrap()
        });
        places.insert(name, index);
    }
    Compiled { schemas, places }
}

/// The reason why an output does not follow its schema.
pub fn refused(output: &Value) -> Option<String> {
    static ALL: OnceLock<Compiled> = OnceLock::new();
    let all = ALL.get_or_init(|| compiled(published()));
    let name = output["schema"].as_str().unwrap_or_default();
    let Some(places) = all.places.get(name) else {
        return Some(format!("{name:?} is not published"));
    };
    let refused = |index: &SchemaIndex| all.schemas.validate(output, *index).err();
    let error = places.iter().find_map(refused)?;
    Some(format!("{name}: {error}"))
}

/// Why readers of the old schema may not understand an output of the new one. More members are an extension, and so are
/// more words of a list of words.
fn breaks(old: &Value, new: &Value, place: &str) -> Option<String> {
    let (Value::Object(of_old), Value::Object(of_new)) = (old, new) else {
        return (old != new).then(|| format!("{place}: another schema"));
    };
    let names = |schema: &Value, name: &str| -> BTreeSet<String> {
        match &schema[name] {
            Value::Array(all) => all.iter().map(ToString::to_string).collect(),
            Value::Null => BTreeSet::new(),
            one => BTreeSet::from([one.to_string()]),
        }
    };
    if !names(new, "type").is_subset(&names(old, "type"))
        || of_new.contains_key("type") != of_old.contains_key("type")
    {
        return Some(format!("{place}: another type"));
    }
    if !names(old, "required").is_subset(&names(new, "required")) {
        return Some(format!("{place}: a member is optional now"));
    }
    for keyword in ["const", "format"] {
        if of_old.get(keyword) != of_new.get(keyword) {
            return Some(format!("{place}: another {keyword}"));
        }
    }
    for (name, member) in of_old
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let place = format!("{place}/{name}");
        let Some(now) = of_new["properties"].get(name) else {
            return Some(format!("{place}: is missing"));
        };
        if let Some(why) = breaks(member, now, &place) {
            return Some(why);
        }
    }
    for keyword in ["items", "additionalProperties"] {
        match (of_old.get(keyword), of_new.get(keyword)) {
            (Some(then), Some(now)) => {
                if let Some(why) = breaks(then, now, &format!("{place}/{keyword}")) {
                    return Some(why);
                }
            }
            (None, None) => {}
            _ => return Some(format!("{place}: another {keyword}")),
        }
    }
    let empty = Vec::new();
    for keyword in ["anyOf", "oneOf"] {
        let of = |schema: &serde_json::Map<String, Value>| {
            schema
                .get(keyword)
                .and_then(Value::as_array)
                .unwrap_or(&empty)
                .clone()
        };
        let then = of(of_old);
        let is_word = |form: &Value| form.get("const").is_some_and(Value::is_string);
        let is_known = |form: &Value| {
            then.iter().any(|old| breaks(old, form, place).is_none())
                || (is_word(form) && then.iter().any(is_word))
        };
        if !of(of_new).iter().all(is_known) || of(of_new).is_empty() != then.is_empty() {
            return Some(format!("{place}: another form"));
        }
    }
    None
}

#[test]
fn a_schema_that_breaks_readers_has_a_new_version() {
    let updates = std::env::var_os("UPDATE_DOCUMENTS").is_some();
    let mut names = BTreeSet::new();
    for Published { name, schema } in published() {
        let path = folder().join(file(name));
        names.insert(file(name));
        if let Ok(text) = fs::read_to_string(&path) {
            let old: Value = serde_json::from_str(&text).unwrap();
            if let Some(why) = breaks(&old, &schema, "") {
                panic!("{name} breaks its readers, so it needs the next number: {why}");
            }
        }
        if updates {
            fs::create_dir_all(folder()).unwrap();
            fs::write(&path, printed(&schema)).unwrap();
        }
        assert_eq!(
            fs::read_to_string(&path).unwrap_or_default(),
            printed(&schema),
            "{FOLDER}/{}: run `UPDATE_DOCUMENTS=1 cargo test -p till schemas` to print it again",
            file(name)
        );
    }
    // An older version stays, for those who read it.
    for entry in fs::read_dir(folder()).unwrap() {
        let found = entry.unwrap().file_name().into_string().unwrap();
        let (stem, _) = found
            .strip_suffix(".json")
            .unwrap()
            .rsplit_once('.')
            .unwrap();
        let is_known = names
            .iter()
            .any(|name| name.starts_with(&format!("{stem}.")));
        assert!(is_known, "{found} belongs to no output");
    }
}

#[test]
fn an_extension_is_told_from_a_break() {
    let old = json!({
        "type": "object", "required": ["id"],
        "properties": {
            "id": {"type": "string"}, "at": {"type": ["string", "null"], "format": "date-time"},
            "word": {"oneOf": [{"const": "ok", "type": "string"}]},
            "all": {"type": "array", "items": {"type": "integer"}},
            "of": {"anyOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "null"}]},
        },
    });
    let with = |pointer: &str, value: Value| {
        let mut new = old.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        new.pointer_mut(parent).unwrap()[name] = value;
        new
    };
    for extension in [
        old.clone(),
        with("/properties/more", json!({"type": "string"})),
        with("/required", json!(["id", "at"])),
        with("/properties/id/description", json!("an id")),
        with("/properties/at/type", json!("string")),
        with(
            "/properties/word/oneOf",
            json!([{"const": "ok", "type": "string"}, {"const": "bad", "type": "string"}]),
        ),
        with(
            "/properties/of/anyOf/0/properties/b",
            json!({"type": "string"}),
        ),
    ] {
        assert_eq!(breaks(&old, &extension, ""), None, "{extension}");
    }
    for broken in [
        with("/required", json!([])),
        with("/properties", json!({"id": {"type": "string"}})),
        with("/properties/id/type", json!(["string", "null"])),
        with("/properties/at/format", json!("date")),
        with("/properties/all/items/type", json!("string")),
        with("/properties/of/anyOf/0/properties", json!({})),
        with("/properties/word", json!({"type": "string"})),
    ] {
        assert!(breaks(&old, &broken, "").is_some(), "{broken}");
    }
}

#[test]
fn an_output_that_lacks_a_member_or_has_an_unknown_one_is_refused() {
    let good = json!({
        "schema": "till.stock_map/1", "generated_at": "2026-03-03T09:00:00Z", "stack": null, "partial": false,
        "warnings": [], "data": {"key": "fprod_1", "dry_run": true, "text": "is not counted"},
    });
    assert_eq!(refused(&good), None);
    for (pointer, value) in [
        ("/schema", json!("till.nothing/1")),
        ("/generated_at", json!("today")),
        ("/partial", json!(null)),
        ("/data/dry_run", json!("yes")),
        ("/data/colour", json!("blue")),
    ] {
        let mut bad = good.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap()[name] = value;
        assert!(refused(&bad).is_some(), "{pointer}");
    }
}
