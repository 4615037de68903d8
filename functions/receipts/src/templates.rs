//! The merchant's templates, from the folder of a Lambda layer.

use mail::{BadTemplates, Form, Part, Sources, Templates};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The reason why the templates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the receipt template {} cannot be read: {cause}", name.display())]
    Unreadable { name: PathBuf, cause: io::Error },
    #[error(transparent)]
    Bad(#[from] BadTemplates),
}

/// Loads `subject.txt`, `body.txt` and `body.html` of the order's receipt from `folder`. The other mails have
/// subfolders (`renewal`, `refund`, `refund-failed`, `payment-failed`, `invoice-payment-failed`, `shipment`,
/// `trial-ends`). A missing file or folder means the built-in template.
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
