//! Stands in for Flex's API on this machine: for `make up` and for tests of the whole stack.

use clap::Parser;
use kit::stand_in::StandIn;
use std::{io, path::PathBuf};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(about = "Stands in for Flex's API: what fulfillment asks of it, and faults on demand.")]
struct Arguments {
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// File for the port, written once it answers.
    #[arg(long)]
    port_file: Option<PathBuf>,
    /// The sales that it knows from the start.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/flex/stand-in.json"))]
    seed: PathBuf,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let stand_in = StandIn::seeded(arguments.port, &arguments.seed).await?;
    if let Some(file) = &arguments.port_file {
        let port = stand_in.url.rsplit(':').next().unwrap_or_default();
        // A waiting process may read the file at any moment, so it appears with its whole content.
        let unfinished = file.with_extension("unfinished");
        std::fs::write(&unfinished, port)?;
        std::fs::rename(&unfinished, file)?;
    }
    println!("the Flex stand-in answers at {}", stand_in.url);
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
