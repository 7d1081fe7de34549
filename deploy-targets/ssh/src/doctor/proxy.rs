//! Whether a proxy would lead requests to what stands beside: it is there, our file may be written, and it takes its configuration.

use super::{CheckState, LIMIT, check};
use crate::activate::limited_to;
use crate::config::Proxy;
use crate::doctor::Check;
use crate::error::Nature;
use crate::error::ended;
use crate::host::{Host, Request, Step};
use deploy_core::failure::printable;

const PROXY: Step = Step::by_hand(
    "looking at the proxy",
    Nature::Look,
    &[
        include_str!("../script/frame.sh"),
        include_str!("../script/place.sh"),
        include_str!("../script/armed.sh"),
        include_str!("../script/scrub.sh"),
        include_str!("../script/run.sh"),
        include_str!("../script/ports.sh"),
        include_str!("../script/proxy.sh"),
    ],
);

/// Looks at it; nothing where the host is not reached, which is told elsewhere.
pub(super) async fn look(host: &Host, proxy: &Proxy, user: &str) -> Option<Check> {
    let (kind, file) = (proxy.kind.word(), &proxy.file);
    let request = Request::new(LIMIT).arg(kind).arg(file);
    let reply = host
        .run(PROXY, limited_to(request, Some(&proxy.test), LIMIT))
        .await
        .ok()?;
    let folder = file.rsplit_once('/').map_or("/", |(folder, _)| folder);
    let no = |what: &str| reply.word(what) == Some("no");
    let (state, detail) = if no("program") {
        let fix = format!("on the host: apt-get install {kind}");
        (CheckState::Bad { fix }, format!("no `{kind}`"))
    } else if no("folder") {
        let fix = format!(
            "on the host: sudo install -d -o {user} {folder}, and have the configuration of {kind} include what is in it"
        );
        (CheckState::Bad { fix }, format!("{folder} may not be written"))
    } else {
        match reply.word("test") {
            Some("0") => (CheckState::Well, format!("{kind} takes its configuration")),
            status => {
                let said = reply.output.lines().rev().find(|line| !line.trim().is_empty());
                let said = said.map(|line| format!(": {}", printable(line.trim(), 300)));
                let fix = if no("file") {
                    format!("write {file} on the host once, as docs/servers.md has it, and include it")
                } else {
                    "run the test by hand on the host, and mend what it names".to_owned()
                };
                let status = ended(status.unwrap_or_default());
                let detail = format!("the test of {kind} {status}{}", said.unwrap_or_default());
                (CheckState::Bad { fix }, detail)
            }
        }
    };
    Some(check(host, "proxy", state, detail))
}
