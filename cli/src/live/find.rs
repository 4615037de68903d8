//! Finds the stack: by its name through `CloudFormation`, or the local one by its file.

use super::failure;
use crate::{
    args::Options,
    backend::Stack,
    error::{Error, Exit},
};
use aws_config::{Region, SdkConfig, timeout::TimeoutConfig};
use aws_sdk_cloudformation::{Client, types};
use aws_sdk_dynamodb::config::Credentials;
use domain::values::mode::Mode;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// A stack and the configuration to reach it.
#[derive(Debug)]
pub struct Found {
    pub config: SdkConfig,
    pub stack: Stack,
}

/// The output that every stack of the bundle has.
const OURS: &str = "StockTableName";

/// Finds the stack of the options.
///
/// # Errors
///
/// If there is none, or several and no name; or if AWS does not answer.
pub async fn find(options: &Options) -> Result<Found, Error> {
    if options.local {
        return local().await;
    }
    let saved = saved(options);
    let mut loader = loader();
    if let Some(profile) = options.profile.as_ref().or(saved.profile.as_ref()) {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = options.region.as_ref().or(saved.region.as_ref()) {
        loader = loader.region(Region::new(region.clone()));
    }
    let config = loader.load().await;
    if config.region().is_none() {
        return Err(Error::usage("no region").cured_by("Add --region, or set AWS_REGION."));
    }
    let client = Client::new(&config);
    let name = options
        .stack
        .clone()
        .or_else(|| env::var("TILL_STACK").ok())
        .or(saved.stack);
    let name = match name {
        Some(name) => name,
        None => only_one(&client, &config).await?,
    };
    let stack = described(&client, &config, &name, false).await?;
    Ok(Found { config, stack })
}

/// A laptop may be far away: longer limits than the functions have.
fn loader() -> aws_config::ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(15))
        .operation_timeout(Duration::from_mins(1))
        .build();
    aws::client::loader().timeout_config(timeouts)
}

/// The settings in samconfig.toml.
#[derive(Debug, Default)]
struct Saved {
    stack: Option<String>,
    region: Option<String>,
    profile: Option<String>,
}

fn saved(options: &Options) -> Saved {
    let text = above("samconfig.toml").and_then(|path| fs::read_to_string(path).ok());
    let file: Option<toml::Table> = text.and_then(|text| text.parse().ok());
    let of = |name: &str| {
        let file = file.as_ref()?;
        let environment = file.get(&options.config_env)?;
        let command = |command: &str| {
            environment
                .get(command)?
                .get("parameters")?
                .get(name)?
                .as_str()
        };
        command("deploy")
            .or_else(|| command("global"))
            .map(str::to_owned)
    };
    Saved {
        stack: of("stack_name"),
        region: of("region"),
        profile: of("profile"),
    }
}

/// The file of that name in this folder or above.
fn above(name: &str) -> Option<PathBuf> {
    let here = env::current_dir().ok()?;
    here.ancestors()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn region(config: &SdkConfig) -> String {
    config.region().map(ToString::to_string).unwrap_or_default()
}

/// The only stack of the bundle in the region.
async fn only_one(client: &Client, config: &SdkConfig) -> Result<String, Error> {
    let mut pages = client.describe_stacks().into_paginator().send();
    let mut ours = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failure::error("CloudFormation", &error))?;
        let is_ours = |stack: &&types::Stack| {
            let mut outputs = stack.outputs().iter();
            outputs.any(|output| output.output_key() == Some(OURS))
        };
        let found = page.stacks().iter().filter(is_ours);
        ours.extend(found.filter_map(|stack| stack.stack_name().map(str::to_owned)));
    }
    let region = region(config);
    match ours.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(
            Error::not_found(format!("no stack of the bundle in {region}")).cured_by(
                "Deploy one (README, Deploy), choose a region (--region), or use --local.",
            ),
        ),
        _ => Err(
            Error::usage(format!("{} stacks of the bundle in {region}", ours.len()))
                .cured_by(format!("Add --stack {}", ours.join(" | "))),
        ),
    }
}

/// The answer of `CloudFormation` about a stack.
async fn describe(client: &Client, region: &str, name: &str) -> Result<types::Stack, Error> {
    let found = client.describe_stacks().stack_name(name).send().await;
    let found = found.map_err(|error| {
        let error = failure::error("CloudFormation", &error);
        if error.what.contains("does not exist") {
            return Error::not_found(format!("no stack {name} in {region}"))
                .cured_by("Check --stack, --region and --profile: till whoami");
        }
        error
    })?;
    let stack = found.stacks.unwrap_or_default().into_iter().next();
    stack.ok_or_else(|| Error::not_found(format!("no stack {name}")))
}

fn pair(name: Option<&str>, value: Option<&str>) -> Option<(String, String)> {
    Some((name?.to_owned(), value?.to_owned()))
}

async fn described(
    client: &Client,
    config: &SdkConfig,
    name: &str,
    local: bool,
) -> Result<Stack, Error> {
    let region = region(config);
    let found = describe(client, &region, name).await?;
    let parameters = found.parameters().iter();
    let parameters: BTreeMap<String, String> = parameters
        .filter_map(|of| pair(of.parameter_key(), of.parameter_value()))
        .collect();
    let outputs = found.outputs().iter();
    let outputs: BTreeMap<String, String> = outputs
        .filter_map(|of| pair(of.output_key(), of.output_value()))
        .collect();
    let mode = parameters.get("Mode").and_then(|mode| mode.parse().ok());
    let other = || format!("{name} is no stack of the bundle: it has no parameter Mode");
    let mode: Mode = mode.ok_or_else(|| Error::usage(other()))?;
    let zone = parameters.get("MerchantTimeZone");
    let zone = zone.and_then(|zone| TimeZone::get(zone).ok());
    let status = found
        .stack_status()
        .map(|status| status.as_str().to_owned());
    let created_at = found.creation_time();
    Ok(Stack {
        name: name.to_owned(),
        region,
        mode,
        version: outputs.get("BundleVersion").cloned(),
        status: status.unwrap_or_default(),
        created_at: created_at.and_then(|at| Timestamp::from_second(at.secs()).ok()),
        zone: zone.unwrap_or(TimeZone::UTC),
        resources: resources(client, name).await?,
        parameters,
        outputs,
        local,
    })
}

/// Physical ids by the names of the template.
async fn resources(client: &Client, name: &str) -> Result<BTreeMap<String, String>, Error> {
    let mut pages = client
        .list_stack_resources()
        .stack_name(name)
        .into_paginator()
        .send();
    let mut all = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failure::error("CloudFormation", &error))?;
        for of in page.stack_resource_summaries() {
            all.extend(pair(of.logical_resource_id(), of.physical_resource_id()));
        }
    }
    Ok(all)
}

/// The local stack, as its file describes it.
async fn local() -> Result<Found, Error> {
    let path = env::var("STACK_FILE").map(PathBuf::from).ok();
    let path = path.or_else(|| above(".local/stack.json")).ok_or_else(|| {
        Error::not_found("no local stack: there is no .local/stack.json here or above")
            .cured_by("make up")
    })?;
    let file = read(&path)?;
    let needed = |name: &str| {
        word(&file, name).ok_or_else(|| {
            let what = format!("{} names no endpoint", path.display());
            Error::new(Exit::Failed, what).cured_by("make up")
        })
    };
    let config = loader()
        .endpoint_url(needed("endpoint")?)
        .region(Region::new(needed("region")?))
        .credentials_provider(Credentials::new("test", "test", None, None, "local"))
        .load()
        .await;
    let client = Client::new(&config);
    let stack = described(&client, &config, &needed("stack_name")?, true).await;
    let mut stack = stack.map_err(|error| {
        if error.exit == Exit::Unavailable {
            error.cured_by("The local stack does not answer: make status, then make up")
        } else {
            error
        }
    })?;
    add_addresses(&mut stack, &file);
    Ok(Found { config, stack })
}

fn word(file: &Value, name: &str) -> Option<String> {
    Some(file.get(name)?.as_str()?.to_owned())
}

/// Adds the addresses that only the file of the local stack has.
fn add_addresses(stack: &mut Stack, file: &Value) {
    for (output, name) in [
        ("WebhookUrl", "webhook_url"),
        ("FlintWebhookUrl", "flint_webhook_url"),
    ] {
        let url = word(file, name).filter(|url| !url.is_empty());
        stack
            .outputs
            .extend(url.map(|url| (output.to_owned(), url)));
    }
    for (parameter, name) in [
        ("FlexApiBaseUrl", "flex_base_url"),
        ("FlintApiBaseUrl", "flint_stand_in_url"),
    ] {
        let url = word(file, name);
        stack
            .parameters
            .extend(url.map(|url| (parameter.to_owned(), url)));
    }
}

fn read(path: &Path) -> Result<Value, Error> {
    let bad = |what: String| {
        Error::new(Exit::Failed, format!("{}: {what}", path.display())).cured_by("make up")
    };
    let text = fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| bad(error.to_string()))
}
