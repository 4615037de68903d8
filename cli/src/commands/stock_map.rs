//! `till stock map`: what a product or a price of the provider is in the merchant's stock.

use super::{stock::sku, write::agreed};
use crate::{
    Context, answers::StockMap, args::MapArgs, backend::Backend, danger::Danger, error::Error,
    output::Answer,
};
use domain::{
    ports::admin::{MapTo, StockAdmin as _},
    sale::mapping::{Grant, MappingKey},
    values::ids::{PriceId, ProductId},
};

pub(super) async fn map<B: Backend>(on: &Context<'_, B>, args: &MapArgs) -> Result<Answer, Error> {
    let (key, write, days) = (&args.key, &args.write, args.days);
    let of = mapping_key(key)?;
    let grant = args.grants.as_deref().map(ProductId::new).transpose()?;
    let to = MapTo {
        sku: args.sku.as_deref().map(sku).transpose()?,
        untracked: args.untracked,
        grants: grant.map(|name| Grant { name, days }),
    };
    let says = says(&to);
    let plan = format!("{key} {says}. Its former mapping is replaced; earlier orders keep theirs.");
    let mut end = "Nothing changed.";
    if !write.dry_run {
        agreed(on, Danger::Harmless, write, &plan).await?;
        on.backend.store().put_mapping(&of, &to).await?;
        end = "Written.";
    }
    let data = StockMap {
        key: key.clone(),
        dry_run: write.dry_run,
        text: says,
    };
    Answer::of(&data, format!("{plan}\n{end}\n"))
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
