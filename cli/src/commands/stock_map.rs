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
    let bad = |error: domain::values::ids::BadId| Error::usage(error.to_string());
    let grants = match grants {
        Some(product) => Some(Grant {
            name: ProductId::new(product.as_str()).map_err(bad)?,
            days: *days,
        }),
        None => None,
    };
    let to = MapTo {
        sku: name.as_ref().map(|name| sku(name)).transpose()?,
        untracked: *untracked,
        grants,
    };
    let mut says = Vec::new();
    says.extend(to.sku.iter().map(|sku| format!("is counted as {sku}")));
    if to.untracked {
        says.push("is not counted".to_owned());
    }
    says.extend(
        to.grants
            .iter()
            .map(|grant| format!("gives access to {}", grant.name)),
    );
    let says = says.join(" and ");
    let plan = format!("{key} {says}. Its former mapping is replaced; earlier orders keep theirs.");
    if !write.dry_run {
        let note = note(on, write).await?;
        let plan = format!("{plan}\nBy {}: {}", note.by(), note.why());
        confirmed(on, Danger::Harmless, write, &plan)?;
        on.backend.store().put_mapping(&of, &to).await?;
    }
    let data = json!({"key": key, "dry_run": write.dry_run, "text": says});
    let end = if write.dry_run {
        "Nothing changed."
    } else {
        "Written."
    };
    Answer::new("till.stock_map/1", &data, format!("{plan}\n{end}\n"))
}

fn mapping_key(text: &str) -> Result<MappingKey, Error> {
    let bad = |error: domain::values::ids::BadId| Error::usage(error.to_string());
    let product = |id: &str| ProductId::new(id).map(MappingKey::Product).map_err(bad);
    let price = |id: &str| PriceId::new(id).map(MappingKey::Price).map_err(bad);
    match (text.split_once('#'), text) {
        (Some(("product", id)), _) => product(id),
        (Some(("price", id)), _) => price(id),
        (None, id) if id.starts_with("fprod_") => product(id),
        (None, id) if id.starts_with("fprice_") => price(id),
        _ => Err(Error::usage(format!("{text:?} is no product and no price"))
            .cured_by("Write product#ID or price#ID")),
    }
}
