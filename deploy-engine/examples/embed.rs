//! Embeds the engine: deploys what is checked out in the folder of a manifest to one of its environments, and prints the result.
//! `cargo run -p deploy-engine --example embed -- deploy.toml development`

use deploy_core::id::{Actor, EnvName};
use deploy_core::plan::Kind;
use deploy_engine::api::{Access, DeployAsk, Identity, Opening, Unreadable, What};
use deploy_engine::{Engine, Wires};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(manifest), Some(environment)) = (args.next(), args.next()) else {
        return Err("usage: embed MANIFEST ENVIRONMENT".into());
    };
    let identity = Identity {
        actor: Actor::new("embed")?,
        established: "the example".to_owned(),
        who: format!("embed (pid {})", std::process::id()),
    };
    let opening = Opening {
        manifest: manifest.into(),
        state: None,
        access: Access::Write,
        unreadable: Unreadable::Refuse,
        identity,
        greets: None,
    };
    let engine = Engine::open(opening).await?;

    let what = What::Commit {
        rev: None,
        version: None,
        allow_dirty: false,
    };
    let ask = DeployAsk::new(Kind::Deploy, EnvName::new(environment)?, what);
    let driven = engine.deploy(ask, Wires::unheard()).await?;
    println!("{}", serde_json::to_string_pretty(&driven.result)?);
    Ok(())
}
