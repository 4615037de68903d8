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

/// The only stack of the bundle in the region.
async fn only_one(client: &Client, config: &SdkConfig) -> Result<String, Error> {
    let mut pages = client.describe_stacks().into_paginator().send();
    let mut ours = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failure::error("CloudFormation", &error))?;
        let is_ours = |stack: &&types::Stack| {
            stack
                .outputs()
                .iter()
                .any(|output| output.output_key() == Some(OURS))
        };
        ours.extend(
            page.stacks()
                .iter()
                .filter(is_ours)
                .filter_map(|stack| stack.stack_name().map(str::to_owned)),
        );
    }
    let region = config.region().map(ToString::to_string).unwrap_or_default();
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

async fn described(
    client: &Client,
    config: &SdkConfig,
    name: &str,
    local: bool,
) -> Result<Stack, Error> {
    let found = client.describe_stacks().stack_name(name).send().await;
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    let found = found.map_err(|error| {
        let error = failure::error("CloudFormation", &error);
        if error.what.contains("does not exist") {
            return Error::not_found(format!("no stack {name} in {region}"))
                .cured_by("Check --stack, --region and --profile: till whoami");
        }
        error
    })?;
    let stack = found
        .stacks()
        .first()
        .ok_or_else(|| Error::not_found(format!("no stack {name}")))?;
    let parameters: BTreeMap<String, String> = stack
        .parameters()
        .iter()
        .filter_map(|of| {
            Some((
                of.parameter_key()?.to_owned(),
                of.parameter_value()?.to_owned(),
            ))
        })
        .collect();
    let outputs: BTreeMap<String, String> = stack
        .outputs()
        .iter()
        .filter_map(|of| Some((of.output_key()?.to_owned(), of.output_value()?.to_owned())))
        .collect();
    let mode = parameters.get("Mode").and_then(|mode| mode.parse().ok());
    let mode: Mode = mode.ok_or_else(|| {
        Error::usage(format!(
            "{name} is no stack of the bundle: it has no parameter Mode"
        ))
    })?;
    let zone = parameters
        .get("MerchantTimeZone")
        .and_then(|zone| TimeZone::get(zone).ok());
    Ok(Stack {
        name: name.to_owned(),
        region,
        mode,
        version: outputs.get("BundleVersion").cloned(),
        status: stack
            .stack_status()
            .map(|status| status.as_str().to_owned())
            .unwrap_or_default(),
        created_at: stack
            .creation_time()
            .and_then(|at| Timestamp::from_second(at.secs()).ok()),
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
            let pair = of.logical_resource_id().zip(of.physical_resource_id());
            all.extend(pair.map(|(logical, physical)| (logical.to_owned(), physical.to_owned())));
        }
    }
    Ok(all)
}

/// The local stack, as its file describes it.
async fn local() -> Result<Found, Error> {
    let path = env::var("STACK_FILE")
        .map(PathBuf::from)
        .ok()
        .or_else(|| above(".local/stack.json"));
    let path = path.ok_or_else(|| {
        Error::not_found("no local stack: there is no .local/stack.json here or above")
            .cured_by("make up")
    })?;
    let file = read(&path)?;
    let of = |name: &str| file.get(name).and_then(Value::as_str).map(str::to_owned);
    let missing = || {
        Error::new(
            Exit::Failed,
            format!("{} names no endpoint", path.display()),
        )
        .cured_by("make up")
    };
    let endpoint = of("endpoint").ok_or_else(missing)?;
    let config = loader()
        .endpoint_url(endpoint)
        .region(Region::new(of("region").ok_or_else(missing)?))
        .credentials_provider(Credentials::new("test", "test", None, None, "local"))
        .load()
        .await;
    let name = of("stack_name").ok_or_else(missing)?;
    let client = Client::new(&config);
    let mut stack = described(&client, &config, &name, true)
        .await
        .map_err(|error| {
            if error.exit == Exit::Unavailable {
                error.cured_by("The local stack does not answer: make status, then make up")
            } else {
                error
            }
        })?;
    for (output, name) in [
        ("WebhookUrl", "webhook_url"),
        ("FlintWebhookUrl", "flint_webhook_url"),
    ] {
        stack.outputs.extend(
            of(name)
                .filter(|url| !url.is_empty())
                .map(|url| (output.to_owned(), url)),
        );
    }
    for (parameter, name) in [
        ("FlexApiBaseUrl", "flex_base_url"),
        ("FlintApiBaseUrl", "flint_stand_in_url"),
    ] {
        stack
            .parameters
            .extend(of(name).map(|url| (parameter.to_owned(), url)));
    }
    Ok(Found { config, stack })
}

fn read(path: &Path) -> Result<Value, Error> {
    let bad = |what: String| {
        Error::new(Exit::Failed, format!("{}: {what}", path.display())).cured_by("make up")
    };
    let text = fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| bad(error.to_string()))
}
