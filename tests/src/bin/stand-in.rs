//! Stands in for the providers' APIs on this machine: for `make up` and for tests of the whole stack.

use clap::Parser;
use kit::stand_in::{FlintStandIn, StandIn};
use std::{io, path::PathBuf};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(
    about = "Stands in for the APIs of Flex and Flint: what the functions ask of them, and faults on demand."
)]
struct Arguments {
    /// The port for Flex's API; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The port for Flint's API; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    flint_port: u16,
    /// File for the two ports, written once both APIs answer.
    #[arg(long)]
    port_file: Option<PathBuf>,
    /// The sales that Flex knows from the start.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/flex/stand-in.json"))]
    seed: PathBuf,
    /// The things that Flint knows from the start.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/flint/stand-in.json"))]
    flint_seed: PathBuf,
}

fn port(url: &str) -> &str {
    url.rsplit(':').next().unwrap_or_default()
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let flex = StandIn::seeded(arguments.port, &arguments.seed).await?;
    let flint = FlintStandIn::seeded(arguments.flint_port, &arguments.flint_seed).await?;
    if let Some(file) = &arguments.port_file {
        let ports = format!("{} {}", port(&flex.url), port(&flint.url));
        // A waiting process may read the file at any moment, so it appears with its whole content.
        let unfinished = file.with_extension("unfinished");
        std::fs::write(&unfinished, ports)?;
        std::fs::rename(&unfinished, file)?;
    }
    println!(
        "the stand-in answers for Flex at {}, for Flint at {}",
        flex.url, flint.url
    );
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
