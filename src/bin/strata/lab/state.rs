//! What a lab consists of, remembered in a file, so that `down` removes exactly that.
//!
//! Invariant: a namespace counts as ours only while it is the one `up` made: the name is
//! compared together with the inode, which a namespace made later by somebody else has not.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::plan::Plan;
use crate::errors::CliError;

const DIRECTORY: &str = "/run/strata-lab";

/// A namespace of ours.
pub struct Namespace {
    pub name: String,
    inode: u64,
}

/// A lab that was made.
pub struct State {
    path: PathBuf,
    pub namespaces: Vec<Namespace>,
}

impl Namespace {
    /// The namespace that has this name now; `None` when there is none.
    pub fn named(name: String) -> Option<Self> {
        let inode = inode(&name)?;
        Some(Self { name, inode })
    }

    /// Whether the one that was made is still there.
    pub fn is_there(&self) -> bool {
        inode(&self.name) == Some(self.inode)
    }
}

impl State {
    /// Nothing made yet.
    pub fn new(plan: &Plan) -> Self {
        Self {
            path: Path::new(DIRECTORY).join(format!("{}.json", plan.file_name())),
            namespaces: Vec::new(),
        }
    }

    /// What was remembered; `None` when no lab was made.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn load(plan: &Plan) -> Result<Option<Self>, CliError> {
        let mut state = Self::new(plan);
        let text = match fs::read_to_string(&state.path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(CliError::setup(state.path.display(), e)),
        };
        let value: Value = serde_json::from_str(&text).map_err(|e| {
            let path = state.path.display();
            CliError::setup(path, format_args!("damaged: {e}")).hint("to remove the file")
        })?;
        let entries = value.get("namespaces").and_then(Value::as_object);
        for (name, inode) in entries.into_iter().flatten() {
            if let Some(inode) = inode.as_u64() {
                let name = name.clone();
                state.namespaces.push(Namespace { name, inode });
            }
        }
        Ok(Some(state))
    }

    /// Whether all of it is still there.
    pub fn holds(&self) -> bool {
        self.namespaces.len() == 2 && self.namespaces.iter().all(Namespace::is_there)
    }

    /// Remembers.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self) -> Result<(), CliError> {
        let namespaces: serde_json::Map<_, _> = self
            .namespaces
            .iter()
            .map(|namespace| (namespace.name.clone(), namespace.inode.into()))
            .collect();
        let text = json!({ "namespaces": namespaces }).to_string();
        fs::create_dir_all(DIRECTORY)
            .and_then(|()| fs::write(&self.path, text))
            .map_err(|e| CliError::setup(self.path.display(), e))
    }

    /// Forgets.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn forget(&self) -> Result<(), CliError> {
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(CliError::failed(self.path.display(), e))
            }
            _ => {
                // Goes with the last lab; not empty is fine.
                let _ = fs::remove_dir(DIRECTORY);
                Ok(())
            }
        }
    }
}

fn inode(name: &str) -> Option<u64> {
    let path = Path::new("/run/netns").join(name);
    fs::metadata(path).ok().map(|file| file.ino())
}
