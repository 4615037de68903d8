//! The announcements as the merchant's systems see them: a schema and an example of each kind, the registry's template,
//! and the examples of consumers. `UPDATE_DOCUMENTS=1` writes the files of `events/announcements`.

mod consumers;
mod schemas;
mod stories;

use crate::documents::{assert_printed, root};
use boon::{Compiler, Draft, Schemas};
use domain::announcement::Kind;
use kit::schema::strict;
use schemas::schema;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::PathBuf,
};

const FOLDER: &str = "events/announcements";
const VERSIONS: &str = "versions.json";
const REGISTRY: &str = "schemas.yaml";

/// The hash of each version of each kind's schema.
type Versions = BTreeMap<String, BTreeMap<String, String>>;

fn path(name: &str) -> PathBuf {
    root().join(FOLDER).join(name)
}

fn updates() -> bool {
    std::env::var_os("UPDATE_DOCUMENTS").is_some()
}

/// Compares a file with its text. `UPDATE_DOCUMENTS=1` writes it.
fn assert_file(name: &str, text: &str) {
    if updates() {
        fs::write(path(name), text).unwrap();
        return;
    }
    let found = fs::read_to_string(path(name)).unwrap_or_default();
    assert_eq!(
        found, text,
        "{FOLDER}/{name}: run `UPDATE_DOCUMENTS=1 cargo test -p tests announced` to print it again"
    );
}

fn printed(json: &Value) -> String {
    format!("{json:#}\n")
}

fn schema_file(kind: &str, version: &str) -> String {
    format!("{kind}.v{version}.schema.json")
}

/// The hash of a schema without its descriptions, which may be corrected.
fn hash(schema: &str) -> String {
    fn strip(schema: &mut Value) {
        match schema {
            Value::Object(members) => {
                members.retain(|name, value| name != "description" || !value.is_string());
                members.values_mut().for_each(strip);
            }
            Value::Array(parts) => parts.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut schema: Value = serde_json::from_str(schema).unwrap();
    strip(&mut schema);
    let digest = Sha256::digest(schema.to_string().as_bytes());
    digest.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn versions() -> Versions {
    let text = fs::read_to_string(path(VERSIONS)).unwrap_or_else(|_| "{}".to_owned());
    serde_json::from_str(&text).unwrap()
}

/// The names of all files in the folder.
pub(crate) fn files() -> BTreeSet<String> {
    let examples = Kind::ALL.iter().map(|kind| format!("{kind}.json"));
    let versions = versions().into_iter();
    let schemas = versions.flat_map(|(kind, versions)| {
        let versions = versions.into_keys();
        versions.map(move |version| schema_file(&kind, &version))
    });
    let others = [VERSIONS, REGISTRY].map(str::to_owned);
    examples.chain(schemas).chain(others).collect()
}

/// Adds the hash of a version that is new.
fn learn(known: &mut Versions, kind: Kind, text: &str) -> Result<(), String> {
    let version = kind.schema_version().to_string();
    let of_kind = known.entry(kind.to_string()).or_default();
    let first = of_kind.entry(version.clone()).or_insert_with(|| hash(text));
    if *first == hash(text) {
        return Ok(());
    }
    Err(format!(
        "the schema of {kind} differs from its version {version}, which consumers have: raise `Kind::schema_version`"
    ))
}

#[test]
fn a_schema_that_changes_has_a_new_version() {
    let mut known = versions();
    let schemas = Kind::ALL
        .iter()
        .map(|kind| (*kind, printed(&schema(*kind))));
    let schemas: Vec<_> = schemas.collect();
    for (kind, text) in &schemas {
        learn(&mut known, *kind, text).unwrap();
    }
    for (kind, text) in &schemas {
        let version = kind.schema_version().to_string();
        assert_file(&schema_file(kind.as_str(), &version), text);
    }
    assert_file(VERSIONS, &printed(&serde_json::to_value(&known).unwrap()));
    for (kind, versions) in known {
        for (version, first) in versions {
            let name = schema_file(&kind, &version);
            let text = fs::read_to_string(path(&name)).unwrap();
            assert_eq!(hash(&text), first, "{name} is not as it was published");
        }
    }
}

#[test]
fn a_version_keeps_its_first_schema() {
    let mut known = Versions::new();
    let kind = Kind::OrderPaid;
    learn(
        &mut known,
        kind,
        r#"{"description": "a", "type": "object"}"#,
    )
    .unwrap();
    let first = known.clone();
    learn(
        &mut known,
        kind,
        r#"{"description": "b", "type": "object"}"#,
    )
    .unwrap();
    let refused = learn(&mut known, kind, r#"{"type": "array"}"#).unwrap_err();
    assert!(
        refused.contains("raise `Kind::schema_version`"),
        "{refused}"
    );
    assert_eq!(known, first);
}

/// The reason why an event does not follow a schema.
fn refused(schema: Value, event: &Value) -> Option<String> {
    const PLACE: &str = "https://schemas.example/announcement.json";
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.set_default_draft(Draft::V4);
    compiler.enable_format_assertions();
    compiler.add_resource(PLACE, schema).unwrap();
    let index = compiler.compile(PLACE, &mut schemas).unwrap();
    let refused = schemas.validate(event, index).err();
    refused.map(|error| error.to_string())
}

#[tokio::test]
async fn an_event_of_each_kind_is_made_by_a_change_and_follows_its_schema() {
    let entries = stories::entries_by_kind().await;
    let missing = Kind::ALL.iter().filter(|kind| !entries.contains_key(kind));
    let missing: Vec<_> = missing.map(|kind| kind.as_str()).collect();
    assert!(missing.is_empty(), "no story has {missing:?}");
    for (kind, entry) in entries {
        let event = stories::as_delivered(&entry);
        // The strict one also refuses a member that the schema forgets.
        for schema in [schema(kind), strict(schema(kind))] {
            if let Some(why) = refused(schema, &event) {
                panic!("{kind}: {why}\n{event:#}");
            }
        }
        assert_file(&format!("{kind}.json"), &printed(&event));
    }
}

#[test]
fn an_event_that_lacks_a_member_or_has_another_kind_is_refused() {
    let text = fs::read_to_string(path("order.paid.json")).unwrap();
    let event: Value = serde_json::from_str(&text).unwrap();
    let schema = schema(Kind::OrderPaid);
    assert_eq!(refused(schema.clone(), &event), None);
    for pointer in [
        "/detail/kind",
        "/detail/order/amounts/due",
        "/detail/occurred_at",
    ] {
        let mut other = event.clone();
        *other.pointer_mut(pointer).unwrap() = "x".into();
        assert!(refused(schema.clone(), &other).is_some(), "{pointer}");
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        let mut less = event.clone();
        let members = less.pointer_mut(parent).unwrap().as_object_mut();
        members.unwrap().remove(member);
        assert!(refused(schema.clone(), &less).is_some(), "{pointer}");
    }
}

/// A kind's name as a logical id: `OrderPaid`.
fn logical(kind: Kind) -> String {
    let words = kind.as_str().split(['.', '_']);
    words
        .map(|word| word[..1].to_uppercase() + &word[1..])
        .collect()
}

#[test]
fn the_template_of_the_registry_has_the_schema_of_each_kind() {
    // The limits of CloudFormation and of the registry
    // (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>).
    const MOST_BYTES: usize = 1_000_000;
    const MOST_CONTENT: usize = 100_000;
    let mut template = String::from(
        "# Printed by `tests/it/announced.rs` from the schemas beside it. The parameter AnnouncementSchemas of the main\n\
         # template includes it.\n\
         AWSTemplateFormatVersion: \"2010-09-09\"\n\
         Description: The schemas of the announcements, in a registry of EventBridge\n\
         Parameters:\n  \
           RegistryName: {Type: String, Description: The name of the registry}\n\
         Resources:\n  \
           Registry:\n    \
             Type: AWS::EventSchemas::Registry\n    \
             Properties: {RegistryName: !Ref RegistryName, Description: The events that the stack announces}\n",
    );
    for kind in Kind::ALL {
        let content = schema(*kind).to_string();
        assert!(content.len() < MOST_CONTENT, "{kind}: {}", content.len());
        let _ = write!(
            template,
            "  {}:\n    \
               Type: AWS::EventSchemas::Schema\n    \
               Properties:\n      \
                 RegistryName: !GetAtt Registry.RegistryName\n      \
                 SchemaName: {}@{kind}\n      \
                 Type: JSONSchemaDraft4\n      \
                 Description: {}\n      \
                 Content: '{}'\n",
            logical(*kind),
            aws::bus::SOURCE,
            serde_json::to_string(kind.when()).unwrap(),
            content.replace('\'', "''"),
        );
    }
    template.push_str("Outputs:\n  RegistryArn: {Value: !GetAtt Registry.RegistryArn, Description: The registry}\n");
    assert!(template.len() < MOST_BYTES, "{}", template.len());
    assert_file(REGISTRY, &template);
}

#[test]
fn the_document_lists_the_kinds() {
    let mut table = String::from("| kind | thing | when |\n|---|---|---|\n");
    for kind in Kind::ALL {
        let thing = serde_json::to_value(kind.thing()).unwrap();
        let thing = thing.as_str().unwrap();
        let _ = writeln!(table, "| `{kind}` | `{thing}` | {} |", kind.when());
    }
    assert_printed("docs/announcements.md", "kinds", &table);
}
