//! The Rust version that the project asks for is the one that its crates need.

use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A version such as `1.88` or `1.88.0`.
fn version(text: &str) -> [u32; 3] {
    let mut parts = text.split('.').map(|part| part.parse().unwrap());
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

/// The names and Rust versions of all crates that are built here, ours and others'.
fn crates() -> Vec<(String, String, bool)> {
    // For this platform: the crates of others need not be downloaded.
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(std::env::var_os("CARGO").unwrap())
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--offline",
            "--filter-platform",
            &target,
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .filter_map(|package| {
            let name = format!(
                "{} {}",
                package["name"].as_str()?,
                package["version"].as_str()?
            );
            Some((
                name,
                package["rust_version"].as_str()?.to_owned(),
                package["source"].is_null(),
            ))
        })
        .collect()
}

#[test]
fn the_oldest_rust_is_what_the_locked_crates_need_and_no_newer() {
    let (ours, others): (Vec<_>, Vec<_>) =
        crates().into_iter().partition(|(_, _, is_ours)| *is_ours);
    assert!(
        ours.len() > 10 && others.len() > 100,
        "{} {}",
        ours.len(),
        others.len()
    );
    let (name, needed, _) = others
        .iter()
        .max_by_key(|(_, needed, _)| version(needed))
        .unwrap();
    for (our, stated, _) in &ours {
        assert_eq!(
            version(stated),
            version(needed),
            "{our}: set rust-version to {needed} in Cargo.toml, as {name} needs"
        );
    }
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(
        readme.contains(&format!("[Rust](https://rustup.rs) {needed} or newer")),
        "README.md must say {needed}"
    );
}

#[test]
fn make_names_the_cure_for_an_old_rust() {
    let folder = std::env::temp_dir().join(format!("old-rust-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let rustc = folder.join("rustc");
    fs::write(
        &rustc,
        "#!/bin/sh\necho 'rustc 1.94.0 (4a4ef493e 2026-03-02)'\n",
    )
    .unwrap();
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let output = Command::new("python3")
        .arg(root().join("local/stack.py"))
        .arg("tools")
        .env("PATH", path)
        .output();
    fs::remove_dir_all(&folder).unwrap();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("(this is 1.94.0): rustup update stable"),
        "{said}"
    );
}
