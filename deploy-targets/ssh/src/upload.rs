//! Sending a release: which files a host needs, and the one stream that carries them.

use crate::SshTarget;
use crate::config::SshBinding;
use crate::environment;
use crate::host::{BRING, Host, Request, Step, UPLOAD};
use crate::layout::{self, OURS};
use crate::listing::{WalkError, walk};
use crate::prepare::{known, reference};
use crate::seen::{self, Base};
use crate::transport::{Input, Reply};
use crate::words;
use deploy_core::digest::Digest;
use deploy_core::failure::{Code, Failure};
use deploy_core::port::target::{Cause, Desired, Move, Op, ProgressSink, TargetError};
use deploy_core::tree::{Listing, Node, TreePath};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};

/// Pieces of the stream that may wait for the connection.
const PIECES: usize = 8;
const PIECE: usize = 128 * 1024;

/// A tree on this machine, and what every host is told of it.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) folder: PathBuf,
    /// Without what shared folders take the place of.
    pub(crate) listing: Listing,
    pub(crate) digest: Digest,
    /// Files in every release's `.deploy` that say what is in it.
    about: Vec<(&'static str, Vec<u8>)>,
}

/// What is being deployed, read once however many hosts it goes to.
#[derive(Debug, Default)]
pub(crate) struct Contents(Mutex<Option<(PathBuf, Digest, Arc<Content>)>>);

/// The release's tree, if it is on this machine; proven to be the one that the release names.
pub(crate) async fn content(
    to: &Desired,
    digest: Digest,
    target: &SshTarget,
) -> Result<Option<Arc<Content>>, TargetError> {
    let Some(folder) = to.local.clone() else {
        return Ok(None);
    };
    // Held while it is read: hosts that come together wait for the first.
    let mut read = target.contents.0.lock().await;
    if let Some((of, as_digest, content)) = &*read
        && *of == folder
        && *as_digest == digest
    {
        return Ok(Some(Arc::clone(content)));
    }
    let content = Arc::new(read_content(&folder, digest, &target.binding).await?);
    *read = Some((folder, digest, Arc::clone(&content)));
    Ok(Some(content))
}

async fn read_content(folder: &Path, digest: Digest, binding: &SshBinding) -> Result<Content, TargetError> {
    let listed = tokio::task::spawn_blocking({
        let folder = folder.to_owned();
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
    Ok(Content {
        folder: folder.to_owned(),
        digest: listing.digest(),
        about: about(&listing),
        listing,
    })
}

/// Whether a name fits on a line of `sha256sum`'s, as it is.
fn is_plain(path: &TreePath) -> bool {
    !path.as_bytes().iter().any(|byte| b"\n\r\\".contains(byte))
}

/// After how many lines of sums half of the bytes are hashed; `None` where that is done sooner than a second process is started.
fn half(listing: &Listing) -> Option<usize> {
    const WORTH_IT: u64 = 4 << 20;
    let sizes = listing.nodes.iter().filter_map(|(path, node)| match node {
        Node::File { size, .. } if is_plain(path) => Some(*size),
        _ => None,
    });
    let all: u64 = sizes.clone().sum();
    let mut sum = 0;
    let lines = sizes.take_while(|size| {
        sum += size;
        sum <= all / 2
    });
    Some(lines.count()).filter(|lines| all > WORTH_IT && *lines > 0)
}

fn about(listing: &Listing) -> Vec<(&'static str, Vec<u8>)> {
    let (mut sums, mut odd, mut links, mut names) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (path, node) in &listing.nodes {
        let bytes = path.as_bytes();
        match node {
            Node::File { digest, .. } if is_plain(path) => {
                sums.extend_from_slice(format!("{digest}  ./").as_bytes());
                sums.extend_from_slice(bytes);
                sums.push(b'\n');
                names.extend_from_slice(b"./");
                names.extend_from_slice(bytes);
                names.push(0);
            }
            Node::File { digest, .. } => {
                odd.extend_from_slice(format!("{digest} {}\n", words::word(bytes)).as_bytes());
            }
            Node::Link { .. } if is_plain(path) => {
                links.extend_from_slice(b"./");
                links.extend_from_slice(bytes);
                links.push(0);
            }
            Node::Link { .. } | Node::Dir { .. } => {}
        }
    }
    names.extend_from_slice(&links);
    let half = half(listing).map_or_else(Vec::new, |lines| format!("{lines}\n").into_bytes());
    vec![
        ("half", half),
        ("listing", listing.to_text()),
        ("sums", sums),
        ("odd", odd),
        ("links", links),
        ("names", names),
    ]
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

/// A release on its way to a host.
pub(crate) struct Sending<'a> {
    pub(crate) host: &'a Host,
    pub(crate) op: &'a Op,
    pub(crate) to: &'a Desired,
    pub(crate) id: &'a str,
    pub(crate) content: &'a Arc<Content>,
    /// The release on the host that unchanged files are taken from.
    pub(crate) base: Option<&'a Arc<Base>>,
}

impl Sending<'_> {
    /// Sends it into its folder, not yet complete: hooks are to run there.
    pub(crate) async fn upload(&self, target: &SshTarget) -> Result<Reply, TargetError> {
        let request = Request::write(self.op)
            .arg(self.id)
            .arg(self.base.map_or("", |base| &base.id))
            .arg(self.content.digest.to_string())
            .arg(words::list(&target.binding.shared))
            .arg(self.room());
        self.send(target, UPLOAD, request).await
    }

    /// Sends it, and does all of `prepare` with it.
    pub(crate) async fn bring(&self, target: &SshTarget, step: &Move) -> Result<Reply, TargetError> {
        // What a hook writes into must be no other release's.
        let how = if target.binding.links && target.binding.hooks.is_empty() {
            "link"
        } else {
            "copy"
        };
        let request = Request::write(self.op)
            .arg(seen::fingerprint(&step.expect))
            .arg(self.id)
            .arg(self.base.map_or("", |base| &base.id))
            .arg(how)
            .arg(self.content.digest.to_string())
            .arg(words::list(&target.binding.shared))
            .arg(reference(step))
            .arg(known(step))
            .arg(self.room());
        self.send(target, BRING, request).await
    }

    /// The room that it takes at least, in KiB, and how many files come: what is taken from another release there may take none.
    fn room(&self) -> String {
        let (mut bytes, mut files) = (0, 0_usize);
        for (path, node) in &self.content.listing.nodes {
            if let Node::File { size, .. } = node {
                if is_there(self.base, path, node) {
                    continue;
                }
                bytes += size;
            }
            files += 1;
        }
        format!("{} {files}", bytes.div_ceil(1024))
    }

    async fn send(&self, target: &SshTarget, step: Step, request: Request) -> Result<Reply, TargetError> {
        let parcel = self.parcel(target);
        let total = parcel.total;
        let (sender, pieces) = mpsc::channel(PIECES);
        let progress = Arc::clone(&self.op.progress);
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
        let sent = self.host.run(step, request.input(Input::Stream(pieces))).await;
        // It ends with the stream: its receiver is gone by now.
        match (sent, writing.await) {
            (Ok(reply), _) => Ok(reply),
            (Err(_), Ok(Err(error))) if error.kind() != io::ErrorKind::BrokenPipe => {
                let folder = self.content.folder.display();
                let message = format!("the artifact in {folder} cannot be read");
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

    fn parcel(&self, target: &SshTarget) -> Parcel {
        let (mut copy, mut total) = (Vec::new(), 0);
        for (path, node) in &self.content.listing.nodes {
            let Node::File { size, .. } = node else { continue };
            if is_there(self.base, path, node) {
                copy.extend_from_slice(b"./");
                copy.extend_from_slice(path.as_bytes());
                copy.push(b'\n');
            } else {
                total += size;
            }
        }
        let binding = &self.host.binding;
        let run_env = environment::for_commands(self.to, &target.binding, binding);
        let run_env = run_env.strip_suffix(".\n").unwrap_or(&run_env);
        let ours = vec![
            ("copy", 0o644, copy),
            (
                "hooks",
                0o644,
                target.binding.content(binding).to_string().into_bytes(),
            ),
            ("env", 0o600, environment::env_file(self.to, binding).into_bytes()),
            ("run-env", 0o600, run_env.as_bytes().to_vec()),
        ];
        Parcel {
            content: Arc::clone(self.content),
            base: self.base.cloned(),
            ours,
            total,
        }
    }
}

/// Whether a host has this very file in a release of its own, by a name that its list can hold.
fn is_there(base: Option<&Arc<Base>>, path: &TreePath, node: &Node) -> bool {
    is_plain(path) && base.is_some_and(|base| base.listing.nodes.get(path) == Some(node))
}

/// What goes into the stream.
struct Parcel {
    content: Arc<Content>,
    base: Option<Arc<Base>>,
    ours: Vec<(&'static str, u32, Vec<u8>)>,
    total: u64,
}

impl Parcel {
    /// Writes the archive. The last entry proves that nothing is missing.
    fn write(&self, out: impl Write, progress: &dyn ProgressSink) -> io::Result<()> {
        let mut archive = tar::Builder::new(out);
        let mut done = 0;
        add_dir(&mut archive, Path::new(OURS), 0o755)?;
        for (name, bytes) in &self.content.about {
            add_bytes(&mut archive, &Path::new(OURS).join(name), 0o644, bytes)?;
        }
        for (name, mode, bytes) in &self.ours {
            add_bytes(&mut archive, &Path::new(OURS).join(name), *mode, bytes)?;
        }
        for (path, node) in &self.content.listing.nodes {
            let name = Path::new(OsStr::from_bytes(path.as_bytes()));
            match node {
                // Its owner must be able to fill it.
                Node::Dir { mode } => add_dir(&mut archive, name, u32::from(*mode) | 0o700)?,
                Node::Link { target } => {
                    let mut header = header(tar::EntryType::Symlink, 0o777, 0);
                    archive.append_link(&mut header, name, Path::new(OsStr::from_bytes(target)))?;
                }
                Node::File { .. } if is_there(self.base.as_ref(), path, node) => {}
                Node::File { size, mode, .. } => {
                    let file = std::fs::File::open(self.content.folder.join(name))?;
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
