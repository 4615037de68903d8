//! The merchant's own templates, from the folder that a Lambda layer brings.

use mail::{BadTemplates, Form, Part, Sources, Templates};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Why there are no templates to work with.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file is there and cannot be read.
    #[error("the receipt template {} cannot be read: {cause}", name.display())]
    Unreadable {
        /// Which file.
        name: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A template does not work.
    #[error(transparent)]
    Bad(#[from] BadTemplates),
}

/// Loads `subject.txt`, `body.txt` and `body.html` of the order's receipt from `folder`, and those of the other
/// mails from its subfolders (`renewal`, `refund`, `payment-failed`, `trial-ends`). The built-in one stands in for
/// each that is not there, and for all if there is no such folder.
pub fn load(folder: &Path) -> Result<Templates, LoadError> {
    let own = Form::ALL
        .into_iter()
        .map(|form| Ok((form, sources(folder, form)?)));
    Ok(Templates::new(own.collect::<Result<_, LoadError>>()?)?)
}

fn sources(folder: &Path, form: Form) -> Result<Sources, LoadError> {
    let read = |part: Part| {
        let name = Path::new(form.folder()).join(part.name());
        match fs::read_to_string(folder.join(&name)) {
            Ok(source) => Ok(Some(source)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(LoadError::Unreadable { name, cause }),
        }
    };
    Ok(Sources {
        subject: read(Part::Subject)?,
        text: read(Part::Text)?,
        html: read(Part::Html)?,
    })
}
