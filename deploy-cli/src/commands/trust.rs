//! `deploy trust`: pins a host's key. A key is what the network says until somebody has compared its fingerprint: that is asked for,
//! and never taken for granted.

use super::answers::done;
use crate::args::servers::Trust;
use crate::context::Context;
use crate::error::{CliError, Exit};
use deploy_core::failure::{Code, Failure};
use deploy_engine::api::Access;
use deploy_engine::api::by_hand::{HostKeysSeen, KeyStanding};
use serde::Serialize;

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    #[serde(flatten)]
    seen: &'a HostKeysSeen,
    changed: bool,
    pinned: &'a [String],
}

pub(crate) async fn run(context: &mut Context<'_>, args: Trust) -> Result<Exit, CliError> {
    let engine = context.open_anyway(Access::Write).await?;
    let host = engine.host_keys(&args.host, args.environment.as_ref()).await?;
    let Some(host) = host else {
        let said = format!("{} is this machine: there is no key to pin", args.host);
        done(context, &said, None);
        return Ok(Exit::Done);
    };
    let seen = &host.seen;
    let fingerprints: Vec<String> = args.fingerprints.iter().map(|text| whole(text)).collect();
    let known = |fingerprint: &String| seen.keys.iter().any(|key| key.fingerprint == *fingerprint);
    if seen.standing == KeyStanding::Trusted && fingerprints.iter().all(known) {
        let said = format!(
            "the key of {} is pinned already, in {}",
            seen.host,
            seen.file.display()
        );
        answer(context, seen, &[], &said);
        return Ok(Exit::Done);
    }
    if let (KeyStanding::Differs { pinned }, false) = (&seen.standing, args.replace) {
        let next = format!(
            "ask its owner; if the change is expected: deploy trust {} --replace",
            seen.host
        );
        let message = format!("{} shows another key than the one that is pinned", seen.host);
        let pinned = pinned.iter().map(|fingerprint| format!("pinned {fingerprint}"));
        return Err(refused(
            Code::HostKey,
            message,
            next,
            shown(seen).into_iter().chain(pinned),
        ));
    }
    let compared = if fingerprints.is_empty() {
        compare(context, seen).await?
    } else {
        fingerprints
    };
    engine.pin(&host, &compared).await?;
    let said = format!("the key of {} is pinned in {}", seen.host, seen.file.display());
    answer(context, seen, &compared, &said);
    Ok(Exit::Done)
}

fn answer(context: &mut Context<'_>, seen: &HostKeysSeen, pinned: &[String], said: &str) {
    let paint = context.console.paint();
    let answer = Answer {
        schema: "deploy.trust/1",
        seen,
        changed: !pinned.is_empty(),
        pinned,
    };
    context
        .console
        .answer(&answer, || format!("{} {said}", paint.good("✓")));
}

/// A fingerprint as tools print it, with or without the name of the digest.
fn whole(text: &str) -> String {
    let text = text.trim();
    if text.contains(':') {
        text.to_owned()
    } else {
        format!("SHA256:{text}")
    }
}

fn shown(seen: &HostKeysSeen) -> Vec<String> {
    let key =
        |key: &deploy_engine::api::by_hand::KeySeen| format!("shows  {} ({})", key.fingerprint, key.kind);
    seen.keys.iter().map(key).collect()
}

fn refused(code: Code, message: String, next: String, keys: impl IntoIterator<Item = String>) -> CliError {
    let keys: Vec<String> = keys.into_iter().collect();
    Failure::new(code, message, next)
        .with_log(&keys.join("\n"))
        .into()
}

/// Asks somebody: the fingerprints that were compared.
async fn compare(context: &mut Context<'_>, seen: &HostKeysSeen) -> Result<Vec<String>, CliError> {
    let host = &seen.host;
    if !context.console.asks() {
        let next = format!(
            "deploy trust {host} --fingerprint SHA256:…, as its owner tells it (its console, whoever set it up)"
        );
        let message = format!("nobody is here to compare the key of {host}");
        return Err(refused(Code::ConfirmationMissing, message, next, shown(seen)));
    }
    context.console.message(&format!("{host} ({}) shows:", seen.name));
    for key in &seen.keys {
        context
            .console
            .message(&format!("  {} ({})", key.fingerprint, key.kind));
    }
    let question = "Is that what its owner tells? Type yes, or the fingerprint that you were told: ";
    let said = context.console.ask(question).await.unwrap_or_default();
    if said == "yes" {
        return Ok(seen.keys.iter().map(|key| key.fingerprint.clone()).collect());
    }
    let told = whole(&said);
    if !said.is_empty() && seen.keys.iter().any(|key| key.fingerprint == told) {
        return Ok(vec![told]);
    }
    let message = format!("the key of {host} was not confirmed: nothing was pinned");
    Err(CliError::new(
        Code::ConfirmationMissing,
        message,
        "ask its owner for the fingerprint",
    ))
}
