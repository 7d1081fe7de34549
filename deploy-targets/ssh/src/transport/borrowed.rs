//! A connection that the user's own `ssh` holds open already (`ControlMaster` and `ControlPath` in their configuration): it is used as
//! it stands, and never ended from here.

use super::jump::ask;
use crate::config::SshAddress;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;
use std::time::Duration;

/// How long it may take to say that it lives.
const ALIVE: Duration = Duration::from_secs(2);

/// Its socket, where there is one and somebody answers.
pub(super) async fn socket(address: &SshAddress) -> Option<PathBuf> {
    if !may_be_configured(address) {
        return None;
    }
    let settings = ask(address).await?;
    let path = settings
        .lines()
        .find_map(|line| line.trim().strip_prefix("controlpath "))?;
    let path = PathBuf::from(path.trim());
    let is_socket = std::fs::metadata(&path).is_ok_and(|meta| meta.file_type().is_socket());
    if !is_socket {
        return None;
    }
    let answers = async {
        let mut connection = openssh_mux_client::Connection::connect(&path).await.ok()?;
        connection.send_alive_check().await.ok()
    };
    tokio::time::timeout(ALIVE, answers).await.ok().flatten()?;
    Some(path)
}

/// Whether a configuration that holds could name a socket: most do not, and `ssh` is not asked then.
fn may_be_configured(address: &SshAddress) -> bool {
    let files = match &address.config_file {
        Some(file) => vec![file.clone()],
        None => {
            let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".ssh/config"));
            home.into_iter()
                .chain([PathBuf::from("/etc/ssh/ssh_config")])
                .collect()
        }
    };
    files.iter().any(|file| {
        std::fs::read(file).is_ok_and(|text| {
            let text = String::from_utf8_lossy(&text).to_ascii_lowercase();
            text.lines()
                .map(str::trim_start)
                .any(|line| line.starts_with("controlpath") || line.starts_with("include"))
        })
    })
}
