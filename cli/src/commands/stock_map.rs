//! `till stock map`: what a product or a price of the provider is in the merchant's stock.

use super::{
    stock::sku,
    write::{confirmed, note},
};
use crate::{
    Context, args::StockCommand, backend::Backend, danger::Danger, error::Error, output::Answer,
};
use domain::{
    ports::admin::{MapTo, StockAdmin as _},
    sale::mapping::{Grant, MappingKey},
    values::ids::{PriceId, ProductId},
};
use serde_json::json;

pub(super) async fn map<B: Backend>(
    on: &Context<'_, B>,
    command: &StockCommand,
) -> Result<Answer, Error> {
    let StockCommand::Map {
        key,
        sku: name,
        untracked,
        grants,
        days,
        write,
    } = command
    else {
        return Err(Error::usage("not a mapping"));
    };
    let of = mapping_key(key)?;
    let grant = |product: &String| ProductId::new(product.as_str());
    let grant = grants.as_ref().map(grant).transpose()?;
    let to = MapTo {
        sku: name.as_ref().map(|name| sku(name)).transpose()?,
        untracked: *untracked,
        grants: grant.map(|name| Grant { name, days: *days }),
    };
    let says = says(&to);
    let plan = format!("{key} {says}. Its former mapping is replaced; earlier orders keep theirs.");
    let mut end = "Nothing changed.";
    if !write.dry_run {
        let note = note(on, write).await?;
        let plan = format!("{plan}\nBy {}: {}", note.by(), note.why());
        confirmed(on, Danger::Harmless, write, &plan)?;
        on.backend.store().put_mapping(&of, &to).await?;
        end = "Written.";
    }
    let data = json!({"key": key, "dry_run": write.dry_run, "text": says});
    Answer::new("till.stock_map/1", &data, format!("{plan}\n{end}\n"))
}

/// The meaning of a mapping in words, without its subject.
fn says(to: &MapTo) -> String {
    let counted = to.sku.iter().map(|sku| format!("is counted as {sku}"));
    let untracked = to.untracked.then(|| "is not counted".to_owned());
    let grants = to.grants.iter();
    let grants = grants.map(|grant| format!("gives access to {}", grant.name));
    let parts: Vec<String> = counted.chain(untracked).chain(grants).collect();
    parts.join(" and ")
}

fn mapping_key(text: &str) -> Result<MappingKey, Error> {
    let product = |id: &str| Ok(MappingKey::Product(ProductId::new(id)?));
    let price = |id: &str| Ok(MappingKey::Price(PriceId::new(id)?));
    match (text.split_once('#'), text) {
        (Some(("product", id)), _) => product(id),
        (Some(("price", id)), _) => price(id),
        (None, id) if id.starts_with("fprod_") => product(id),
        (None, id) if id.starts_with("fprice_") => price(id),
        _ => Err(Error::usage(format!("{text:?} is no product and no price"))
            .cured_by("Write product#ID or price#ID")),
    }
}
