//! A host's key, as `deploy trust` pins it: which keys the host offers, which are pinned, and where. The user's own `ssh` says how the
//! host is reached and which files it reads, so that what is pinned here is what every later connection compares with.
//!
//! A key that is looked at this way is nobody's word but the network's: whoever pins one has compared its fingerprint.

use crate::config::{Address, SshAddress};
use crate::server::Server;
use crate::transport::{Broken, refused};
use deploy_core::failure::{Code, Failure, printable};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// How long one tool may take: name lookup and jump hosts included.
const LIMIT: Duration = Duration::from_secs(30);

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// `SHA256:…`.
    pub fingerprint: String,
    /// `ED25519`.
    pub kind: String,
    /// As `known_hosts` has it, without the name: type and key.
    line: String,
}

/// What is pinned for a host, against what it offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is pinned.
    Unknown,
    /// One of the keys is pinned.
    Trusted,
    /// Others are pinned.
    Differs {
        /// Their fingerprints.
        pinned: Vec<String>,
    },
    /// One of the keys is marked as revoked.
    Revoked,
}

/// The keys of a host.
#[derive(Debug, Clone)]
pub struct HostKeys {
    /// The name that it is known by: `[10.0.0.1]:2222`.
    pub name: String,
    /// The file where one is pinned.
    pub file: PathBuf,
    /// Those it offers.
    pub offered: Vec<HostKey>,
    /// What is pinned.
    pub standing: Standing,
    files: Vec<PathBuf>,
    hash: bool,
}

/// What `ssh` would do with an address.
struct Way {
    name: String,
    host: String,
    port: String,
    direct: bool,
    hash: bool,
    own: Vec<PathBuf>,
    global: Vec<PathBuf>,
}

impl Server {
    /// The keys that the host offers, and what is pinned; `None` for this machine, which needs none.
    ///
    /// # Errors
    /// It cannot be reached, or ssh's tools are missing.
    pub async fn keys(&self) -> Result<Option<HostKeys>, Box<Failure>> {
        match &self.address {
            Address::Local => Ok(None),
            Address::Ssh(address) => look(address).await.map(Some),
        }
    }
}

async fn look(address: &SshAddress) -> Result<HostKeys, Box<Failure>> {
    let way = way(address).await?;
    let Some(file) = way.own.first().cloned() else {
        let message = "the ssh configuration keeps no host keys (UserKnownHostsFile)";
        let next = "name a file there, or pin the key by hand";
        return Err(Box::new(Failure::new(Code::HostKey, message, next)));
    };
    let mut lines = if way.direct {
        scanned(&way).await?
    } else {
        Vec::new()
    };
    if lines.is_empty() {
        lines = offered_to_ssh(address).await?;
    }
    let offered = with_fingerprints(lines).await?;
    let (mut pinned, mut revoked) = (Vec::new(), BTreeSet::new());
    for file in way.own.iter().chain(&way.global) {
        for (marker, line) in known(&way.name, file).await? {
            match marker.as_deref() {
                None => pinned.push(line),
                Some("@revoked") => {
                    revoked.insert(line);
                }
                Some(_) => {}
            }
        }
    }
    let is = |key: &HostKey, lines: &[String]| lines.contains(&key.line);
    let standing = if offered.iter().any(|key| revoked.contains(&key.line)) {
        Standing::Revoked
    } else if pinned.is_empty() {
        Standing::Unknown
    } else if offered.iter().any(|key| is(key, &pinned)) && !offered.iter().any(|key| conflicts(key, &pinned))
    {
        Standing::Trusted
    } else {
        let pinned = with_fingerprints(pinned).await?;
        Standing::Differs {
            pinned: pinned.into_iter().map(|key| key.fingerprint).collect(),
        }
    };
    Ok(HostKeys {
        name: way.name,
        file,
        offered,
        standing,
        files: way.own,
        hash: way.hash,
    })
}

/// Whether another key of the same type is pinned.
fn conflicts(key: &HostKey, pinned: &[String]) -> bool {
    let kind = |line: &str| line.split(' ').next().map(str::to_owned);
    let same = |line: &&String| kind(line) == kind(&key.line);
    pinned.iter().any(|line| same(&line)) && !pinned.contains(&key.line)
}

impl HostKeys {
    /// Pins the offered keys with these fingerprints, in place of what was pinned in the user's own files.
    ///
    /// # Errors
    /// A file cannot be written, or a system-wide one has another key.
    pub async fn pin(&self, fingerprints: &[String]) -> Result<(), Box<Failure>> {
        if let Standing::Differs { .. } = &self.standing {
            for file in &self.files {
                if file.exists() {
                    let file = file.display().to_string();
                    tool("ssh-keygen", &["-R", &self.name, "-f", &file], None).await?;
                }
            }
        }
        let meant = self
            .offered
            .iter()
            .filter(|key| fingerprints.contains(&key.fingerprint));
        let mut text: String = meant
            .map(|key| self.name.clone() + " " + &key.line + "\n")
            .collect();
        if self.hash {
            text = hashed(&text).await?;
        }
        append(&self.file, &text).map_err(|error| {
            let message = format!("the host key could not be written to {}", self.file.display());
            let failure = Failure::new(Code::HostKey, message, "make the file writable, then try again");
            Box::new(failure.caused_by(&error))
        })
    }
}

/// Lines at the end of a file that only its owner writes; made with its folder where there is none.
fn append(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let before = match std::fs::read(file) {
        Ok(before) => before,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let gap = if before.last().is_some_and(|last| *last != b'\n') {
        "\n"
    } else {
        ""
    };
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(format!("{gap}{text}").as_bytes())?;
    file.sync_all()
}

/// How `ssh` would get there, as it says itself.
async fn way(address: &SshAddress) -> Result<Way, Box<Failure>> {
    let config = address
        .config_file
        .as_ref()
        .map(|file| file.display().to_string());
    let mut args = vec!["-G"];
    if let Some(config) = &config {
        args.extend(["-F", config]);
    }
    args.extend(["--", &address.destination]);
    let said = tool("ssh", &args, None).await?;
    if !said.well {
        return Err(unreachable(address, &said.errors));
    }
    Ok(read_way(
        &said.output,
        std::env::var_os("HOME").map(PathBuf::from).as_deref(),
    ))
}

fn read_way(said: &str, home: Option<&Path>) -> Way {
    let get = |name: &str| {
        let mut values = said.lines().filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            (key == name).then_some(value.trim())
        });
        values
            .next()
            .filter(|value| !value.is_empty() && *value != "none")
    };
    let files = |name: &str| {
        let text = get(name).unwrap_or_default();
        // A path with a blank in it is told without quotes.
        let words: Vec<&str> = if Path::new(text).exists() {
            vec![text]
        } else {
            text.split(' ').collect()
        };
        let own = |word: &str| match (word.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(word),
        };
        let kept = |word: &&str| !word.is_empty() && !matches!(*word, "none" | "/dev/null");
        words.into_iter().filter(kept).map(own).collect::<Vec<_>>()
    };
    let host = get("hostname").unwrap_or_default().to_ascii_lowercase();
    let port = get("port").unwrap_or("22").to_owned();
    let name = match get("hostkeyalias") {
        Some(alias) => alias.to_owned(),
        None if port == "22" => host.clone(),
        None => format!("[{host}]:{port}"),
    };
    Way {
        name,
        direct: get("proxyjump").is_none() && get("proxycommand").is_none(),
        hash: get("hashknownhosts") == Some("yes"),
        own: files("userknownhostsfile"),
        global: files("globalknownhostsfile"),
        host,
        port,
    }
}

/// All keys that a host offers to whoever asks directly; none where that does not get there.
async fn scanned(way: &Way) -> Result<Vec<String>, Box<Failure>> {
    let said = tool(
        "ssh-keyscan",
        &["-T", "10", "-p", &way.port, "--", &way.host],
        None,
    )
    .await?;
    Ok(keys(&said.output).into_iter().map(|(_, line)| line).collect())
}

/// The key that a host shows to `ssh` itself, by whatever way that takes there. It is trusted in a file that is thrown away, and nobody
/// logs in. A jump host is compared with what is known of it.
async fn offered_to_ssh(address: &SshAddress) -> Result<Vec<String>, Box<Failure>> {
    let folder = tempfile::tempdir().map_err(|error| {
        let failure = Failure::new(
            Code::PermissionDenied,
            "no folder for a moment",
            "make /tmp writable",
        );
        Box::new(failure.caused_by(&error))
    })?;
    let file = folder.path().join("known");
    let seen = format!("UserKnownHostsFile=\"{}\"", file.display());
    let config = address
        .config_file
        .as_ref()
        .map(|file| file.display().to_string());
    let mut args = Vec::new();
    for option in [
        seen.as_str(),
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=accept-new",
        "HashKnownHosts=no",
        "UpdateHostKeys=no",
        "ControlMaster=no",
        "ControlPath=none",
        "BatchMode=yes",
        "PreferredAuthentications=none",
        "ConnectTimeout=15",
    ] {
        args.extend(["-o", option]);
    }
    if let Some(config) = &config {
        args.extend(["-F", config]);
    }
    args.extend(["--", &address.destination, "true"]);
    let said = tool("ssh", &args, None).await?;
    let text = tokio::fs::read_to_string(&file).await.unwrap_or_default();
    let keys: Vec<String> = keys(&text).into_iter().map(|(_, line)| line).collect();
    if keys.is_empty() {
        return Err(unreachable(address, &said.errors));
    }
    Ok(keys)
}

/// The lines of a file that are about a name, hashed or not.
async fn known(name: &str, file: &Path) -> Result<Vec<(Option<String>, String)>, Box<Failure>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let said = tool(
        "ssh-keygen",
        &["-F", name, "-f", &file.display().to_string()],
        None,
    )
    .await?;
    Ok(keys(&said.output))
}

/// Keys of lines as `known_hosts` has them, each with its marker.
fn keys(text: &str) -> Vec<(Option<String>, String)> {
    let key = |line: &str| {
        let mut words = line.split_whitespace().peekable();
        let marker = words.next_if(|word| word.starts_with('@')).map(str::to_owned);
        let _name = words.next()?;
        Some((marker, format!("{} {}", words.next()?, words.next()?)))
    };
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .filter_map(key)
        .collect()
}

async fn with_fingerprints(mut lines: Vec<String>) -> Result<Vec<HostKey>, Box<Failure>> {
    lines.sort();
    lines.dedup();
    let text = format!("host {}\n", lines.join("\nhost "));
    let said = tool("ssh-keygen", &["-l", "-f", "-"], Some(text)).await?;
    let read = |(line, told): (String, &str)| {
        Some(HostKey {
            fingerprint: printable(told.split(' ').nth(1)?, 100),
            kind: printable(told.rsplit_once('(')?.1.trim_end_matches(')'), 40),
            line,
        })
    };
    Ok(lines
        .into_iter()
        .zip(said.output.lines())
        .filter_map(read)
        .collect())
}

/// The same lines with their names hashed, as the user's configuration wants them.
async fn hashed(text: &str) -> Result<String, Box<Failure>> {
    let failed = |error: std::io::Error| {
        let failure = Failure::new(
            Code::PermissionDenied,
            "no folder for a moment",
            "make /tmp writable",
        );
        Box::new(failure.caused_by(&error))
    };
    let folder = tempfile::tempdir().map_err(failed)?;
    let file = folder.path().join("known");
    std::fs::write(&file, text).map_err(failed)?;
    tool("ssh-keygen", &["-H", "-f", &file.display().to_string()], None).await?;
    std::fs::read_to_string(&file).map_err(failed)
}

fn unreachable(address: &SshAddress, said: &str) -> Box<Failure> {
    match refused(address, said) {
        Broken::NotSent(_, failure) => failure,
        Broken::Lost { .. } | Broken::TimedOut => {
            let message = format!("{} cannot be reached", address.destination);
            Box::new(Failure::new(Code::Unreachable, message, "deploy doctor"))
        }
    }
}

struct Told {
    well: bool,
    output: String,
    errors: String,
}

async fn tool(program: &str, args: &[&str], input: Option<String>) -> Result<Told, Box<Failure>> {
    let failed = |error: std::io::Error| {
        let message = format!("`{program}` cannot be run on this machine");
        let failure = Failure::new(
            Code::ToolMissing,
            message,
            "install it: apt-get install openssh-client",
        );
        Box::new(failure.caused_by(&error))
    };
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let mut stdin = child.stdin.take();
    let talking = async {
        if let (Some(stdin), Some(text)) = (&mut stdin, input) {
            // One that ends before it has read all says why.
            let _ = stdin.write_all(text.as_bytes()).await;
        }
        drop(stdin);
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(LIMIT, talking)
        .await
        .map_err(|_| {
            let message = format!("`{program}` took too long");
            Box::new(Failure::new(
                Code::Unreachable,
                message,
                "look whether the host is on, then try again",
            ))
        })?
        .map_err(failed)?;
    Ok(Told {
        well: output.status.success(),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_a_key_is_known_by_is_as_ssh_has_it() {
        let way = |more: &str| {
            let said = format!("host web\nuser deploy\nhostname Web.Example\n{more}");
            read_way(&said, Some(Path::new("/home/a")))
        };
        assert_eq!(way("port 22\n").name, "web.example");
        assert_eq!(way("port 2222\n").name, "[web.example]:2222");
        assert_eq!(way("port 2222\nhostkeyalias web-1\n").name, "web-1");
        assert!(way("port 22\nproxycommand none\n").direct);
        assert!(!way("port 22\nproxyjump jump\n").direct);
        let way = way("userknownhostsfile ~/.ssh/known_hosts /x/known_hosts2\nglobalknownhostsfile none\n");
        let own = ["/home/a/.ssh/known_hosts", "/x/known_hosts2"].map(PathBuf::from);
        assert_eq!((way.own, way.global), (own.to_vec(), Vec::new()));
    }

    #[test]
    fn lines_have_a_marker_a_name_and_a_key() {
        let text = "# web:22 SSH-2.0\nweb ssh-ed25519 AAA me@here\n\n@revoked web ssh-rsa BBB\nweb broken\n";
        let wanted = [
            (None, "ssh-ed25519 AAA".to_owned()),
            (Some("@revoked".to_owned()), "ssh-rsa BBB".to_owned()),
        ];
        assert_eq!(keys(text), wanted);
    }
}
