//! The merchant's own templates, from the folder that a Lambda layer brings.

use domain::receipt::mail::{BadTemplates, Sources, Templates};
use std::{fs, io, path::Path};

/// Why there are no templates to work with.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file is there and cannot be read.
    #[error("the receipt template {name} cannot be read: {cause}")]
    Unreadable {
        /// Which file.
        name: &'static str,
        /// Why.
        cause: io::Error,
    },
    /// A template does not work.
    #[error(transparent)]
    Bad(#[from] BadTemplates),
}

/// Loads `subject.txt`, `body.txt` and `body.html` from `folder`; the built-in one stands in for each that is
/// not there, and for all if there is no such folder.
pub fn load(folder: &Path) -> Result<Templates, LoadError> {
    Ok(Templates::new(Sources {
        subject: read(folder, "subject.txt")?,
        text: read(folder, "body.txt")?,
        html: read(folder, "body.html")?,
    })?)
}

fn read(folder: &Path, name: &'static str) -> Result<Option<String>, LoadError> {
    match fs::read_to_string(folder.join(name)) {
        Ok(source) => Ok(Some(source)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(LoadError::Unreadable { name, cause }),
    }
}
