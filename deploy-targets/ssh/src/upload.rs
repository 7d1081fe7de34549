//! Sending a release: which files a host needs, and the one stream that carries them.

use crate::SshTarget;
use crate::config::SshBinding;
use crate::environment;
use crate::host::{Host, Request, UPLOAD};
use crate::layout::{self, OURS};
use crate::listing::{WalkError, walk};
use crate::seen::Base;
use crate::transport::Input;
use crate::words;
use deploy_core::digest::Digest;
use deploy_core::failure::{Code, Failure};
use deploy_core::port::target::{Cause, Desired, Op, ProgressSink, TargetError};
use deploy_core::tree::{Listing, Node, TreePath};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Pieces of the stream that may wait for the connection.
const PIECES: usize = 8;
const PIECE: usize = 128 * 1024;

/// A tree on this machine, and what of it goes to a host.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) folder: PathBuf,
    /// Without what shared folders take the place of.
    pub(crate) listing: Listing,
}

/// The release's tree, if it is on this machine; proven to be the one that the release names.
pub(crate) async fn content(
    to: &Desired,
    digest: Digest,
    binding: &SshBinding,
) -> Result<Option<Content>, TargetError> {
    let Some(folder) = to.local.clone() else {
        return Ok(None);
    };
    let listed = tokio::task::spawn_blocking({
        let folder = folder.clone();
        move || list(&folder, digest)
    });
    let not_done = |failure| TargetError::not_done(Cause::Final, failure);
    let listing = listed
        .await
        .map_err(|error| {
            let failure = Failure::new(Code::Defect, "listing the artifact did not end", "report this");
            not_done(failure.caused_by(&error))
        })?
        .map_err(|error: WalkError| {
            let message = format!("the artifact in {} cannot be sent", folder.display());
            let next = "correct it and build again";
            not_done(Failure::new(Code::ArtifactMissing, message, next).caused_by(&error))
        })?;
    let Some(listing) = listing else {
        let message = format!("{} is not the artifact that the release names", folder.display());
        let next = "build the release again from its commit";
        return Err(not_done(Failure::new(Code::ContentMismatch, message, next)));
    };
    if listing
        .nodes
        .keys()
        .any(|path| layout::is_at_or_below(path, OURS))
    {
        let message = format!(
            "the artifact in {} has a folder `{OURS}`, which is ours",
            folder.display()
        );
        let next = "leave it out of the artifact";
        return Err(not_done(Failure::new(Code::ManifestInvalid, message, next)));
    }
    let listing = layout::wanted(&listing, &binding.shared);
    Ok(Some(Content { folder, listing }))
}

/// The listing that the release names: from the file `listing` beside the folder where that is the one, else from the folder
/// itself. What is sent is checked against it on the host either way. Blocking.
fn list(folder: &Path, digest: Digest) -> Result<Option<Listing>, WalkError> {
    let beside = folder
        .parent()
        .and_then(|parent| std::fs::read(parent.join("listing")).ok());
    if let Some(text) = beside.filter(|text| Digest::of(text) == digest) {
        return Ok(Listing::parse(&text));
    }
    let listing = walk(folder)?;
    Ok((listing.digest() == digest).then_some(listing))
}

/// Sends a release into its folder, not yet complete. Unchanged files are copied from `base` on the host.
pub(crate) async fn upload(
    target: &SshTarget,
    host: &Host,
    op: &Op,
    to: &Desired,
    id: &str,
    content: &Content,
    base: Option<&Base>,
) -> Result<(), TargetError> {
    let parcel = parcel(target, host, to, content, base);
    let total = parcel.total;
    let (sender, pieces) = mpsc::channel(PIECES);
    let progress = Arc::clone(&op.progress);
    let writing = tokio::task::spawn_blocking(move || {
        let pipe = Pipe {
            sender: sender.clone(),
            buffer: Vec::with_capacity(PIECE),
        };
        if let Err(error) = parcel.write(pipe, &*progress) {
            // The reader may be gone already: then its own error says more.
            let _ = sender.blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
            return Err(error);
        }
        Ok(())
    });
    let request = Request::write(op)
        .arg(id)
        .arg(base.map_or("", |base| &base.id))
        .arg(content.listing.digest().to_string())
        .arg(words::list(&target.binding.shared))
        .input(Input::Stream(pieces));
    let sent = host.run(UPLOAD, request).await;
    // It ends with the stream: its receiver is gone by now.
    match (sent, writing.await) {
        (Ok(_), _) => Ok(()),
        (Err(_), Ok(Err(error))) if error.kind() != io::ErrorKind::BrokenPipe => {
            let message = format!("the artifact in {} cannot be read", content.folder.display());
            let failure = Failure::new(
                Code::ArtifactMissing,
                message,
                "build the release again from its commit",
            );
            Err(TargetError::not_done(Cause::Final, failure.caused_by(&error)))
        }
        (Err(mut error), _) => {
            if error.failure.code == Code::TargetFull {
                let message = format!(
                    "{} for {} KiB to send",
                    error.failure.message,
                    total.div_ceil(1024)
                );
                error.failure.message = message;
            }
            Err(error)
        }
    }
}

/// What goes into the stream.
struct Parcel {
    folder: PathBuf,
    ours: Vec<(&'static str, u32, Vec<u8>)>,
    send: Vec<(TreePath, Node)>,
    total: u64,
}

fn parcel(target: &SshTarget, host: &Host, to: &Desired, content: &Content, base: Option<&Base>) -> Parcel {
    let (mut sums, mut odd, mut copy, mut links) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut send = Vec::new();
    let mut total = 0;
    for (path, node) in &content.listing.nodes {
        let bytes = path.as_bytes();
        // Tools that read or write lists of names take these for more than parts of one.
        let plain = !bytes.iter().any(|byte| b"\n\r\\".contains(byte));
        if let Node::File { digest, size, .. } = node {
            if plain {
                sums.extend_from_slice(format!("{digest}  ./").as_bytes());
                sums.extend_from_slice(bytes);
                sums.push(b'\n');
            } else {
                odd.extend_from_slice(format!("{digest} {}\n", words::word(bytes)).as_bytes());
            }
            if plain && base.is_some_and(|base| base.listing.nodes.get(path) == Some(node)) {
                copy.extend_from_slice(b"./");
                copy.extend_from_slice(bytes);
                copy.push(b'\n');
                continue;
            }
            total += size;
        } else if plain && matches!(node, Node::Link { .. }) {
            links.extend_from_slice(b"./");
            links.extend_from_slice(bytes);
            links.push(0);
        }
        send.push((path.clone(), node.clone()));
    }
    let ours = vec![
        ("listing", 0o644, content.listing.to_text()),
        ("sums", 0o644, sums),
        ("odd", 0o644, odd),
        ("links", 0o644, links),
        ("copy", 0o644, copy),
        (
            "hooks",
            0o644,
            target.binding.content(&host.binding).to_string().into_bytes(),
        ),
        (
            "env",
            0o600,
            environment::env_file(to, &host.binding).into_bytes(),
        ),
    ];
    Parcel {
        folder: content.folder.clone(),
        ours,
        send,
        total,
    }
}

impl Parcel {
    /// Writes the archive. The last entry proves that nothing is missing.
    fn write(&self, out: impl Write, progress: &dyn ProgressSink) -> io::Result<()> {
        let mut archive = tar::Builder::new(out);
        let mut done = 0;
        add_dir(&mut archive, Path::new(OURS), 0o755)?;
        for (name, mode, bytes) in &self.ours {
            add_bytes(&mut archive, &Path::new(OURS).join(name), *mode, bytes)?;
        }
        for (path, node) in &self.send {
            let name = Path::new(OsStr::from_bytes(path.as_bytes()));
            match node {
                // Its owner must be able to fill it.
                Node::Dir { mode } => add_dir(&mut archive, name, u32::from(*mode) | 0o700)?,
                Node::Link { target } => {
                    let mut header = header(tar::EntryType::Symlink, 0o777, 0);
                    archive.append_link(&mut header, name, Path::new(OsStr::from_bytes(target)))?;
                }
                Node::File { size, mode, .. } => {
                    let file = std::fs::File::open(self.folder.join(name))?;
                    if file.metadata()?.len() != *size {
                        return Err(io::Error::other(format!("{path} changed while it was sent")));
                    }
                    let mut header = header(tar::EntryType::Regular, u32::from(*mode), *size);
                    archive.append_data(&mut header, name, io::Read::take(file, *size))?;
                    done += size;
                    progress.step(done, self.total, "upload");
                }
            }
        }
        add_bytes(&mut archive, &Path::new(OURS).join("end"), 0o644, b"")?;
        archive.into_inner()?.flush()
    }
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header
}

fn add_dir(archive: &mut tar::Builder<impl Write>, name: &Path, mode: u32) -> io::Result<()> {
    archive.append_data(&mut header(tar::EntryType::Directory, mode, 0), name, io::empty())
}

fn add_bytes(archive: &mut tar::Builder<impl Write>, name: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    archive.append_data(
        &mut header(tar::EntryType::Regular, mode, bytes.len() as u64),
        name,
        bytes,
    )
}

/// The blocking end of the stream.
struct Pipe {
    sender: mpsc::Sender<io::Result<Vec<u8>>>,
    buffer: Vec<u8>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        self.sender
            .blocking_send(Ok(piece))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
