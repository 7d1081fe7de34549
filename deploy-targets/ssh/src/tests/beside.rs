//! Two ports that take turns behind a real nginx or Caddy, with users who ask all the while.

use super::common::{
    World, arm, back, claim, deployment, end, examined, hook, out, place, request, seen, shell, slice, step,
    watchers,
};
use super::shells::busybox;
use crate::{Beside, CheckState, Connections, Failpoint, HookPoint, Proxy, ProxyKind, SshTarget};
use deploy_core::failure::Code;
use deploy_core::model::ReleaseRef;
use deploy_core::port::target::{
    Certainty, Cleanup, Desired, Move, Op, Prepared, Restore, Runs, Stood, Target as _, TargetError,
};
use deploy_tests::proxies::{self, Kind, Users, free_ports};
use deploy_tests::service::{self, Unit, WebRelease};
use deploy_tests::wait;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

struct Ground {
    world: World,
    proxy: proxies::Proxy,
    ports: [u16; 2],
}

impl Ground {
    fn new(kind: Kind) -> Self {
        let mut world = World::local();
        let ports = free_ports();
        let proxy = proxies::Proxy::start(kind, &world.dir.path().join("proxy"), ports[0]);
        let units = world.dir.path().join("units");
        Unit::web("web@", &world.path().join("ports/%i"), "%i").install(&units);
        let manage = |verb: &str| {
            let program = service::program("deploy-test-service");
            shell(&format!(
                "{}='{}' '{}' {verb} \"web@$DEPLOY_PORT\"",
                service::UNITS,
                units.display(),
                program.display()
            ))
        };
        world.binding.restart = Some(manage("restart"));
        world.binding.stop = Some(manage("stop"));
        world.binding.beside = Some(Beside {
            ports: (ports[0], ports[1]),
            proxy: Proxy {
                kind: match kind {
                    Kind::Nginx => ProxyKind::Nginx,
                    Kind::Caddy => ProxyKind::Caddy,
                },
                file: proxy.file().to_str().unwrap().to_owned(),
                name: "web".to_owned(),
                test: shell(&proxy.test()),
                reload: shell(&proxy.reload()),
            },
            drain: Duration::from_secs(1),
            start: Duration::from_secs(10),
        });
        Self { world, proxy, ports }
    }

    fn release(&self, number: u32) -> Arc<Desired> {
        let files = WebRelease::healthy(&number.to_string()).files();
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        self.world.release(number, &files)
    }

    /// What answers at a port of its own.
    fn answers(&self, color: usize) -> Option<String> {
        let (_, body) = service::get(self.ports[color], "/")?;
        Some(body.trim().to_owned())
    }

    /// What the proxy leads to.
    fn serves(&self) -> Option<String> {
        let (status, body) = service::get(self.proxy.port(), "/")?;
        (status == 200).then(|| body.trim().to_owned())
    }

    fn current(&self) -> Option<String> {
        let text = fs::read_to_string(self.world.path().join("current/VERSION")).ok()?;
        Some(text.trim().to_owned())
    }

    /// Stands a release up and passes to it, armed for a minute.
    async fn move_to(&self, target: &SshTarget, number: u32) -> (Op, Prepared) {
        arm(&self.world, target, number, &self.release(number), MINUTE).await
    }

    /// The same to its end.
    async fn bring(&self, target: &SshTarget, number: u32) {
        let (op, _) = self.move_to(target, number).await;
        target.confirm(&op, &slice()).await.unwrap();
        end(target, &op).await;
    }

    /// Prepares it, so that it may be moved.
    async fn ready(&self, target: &SshTarget, number: u32) -> (Op, Move, Prepared) {
        let op = self.world.op(&claim(target, number).await.unwrap());
        let mut step = step(target, &self.release(number)).await;
        let prepared = target.prepare(&op, &step).await.unwrap();
        step.checkpoint = Some(prepared.checkpoint.clone());
        step.arm = Some(MINUTE);
        (op, step, prepared)
    }

    async fn fails(&self, target: &SshTarget, op: &Op, step: &Move) -> TargetError {
        match target.stand(op, step).await {
            Err(error) => error,
            Ok(_) => target.activate(op, step).await.unwrap_err(),
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        service::end_all(&self.world.dir.path().join("units"));
    }
}

async fn at(target: &SshTarget) -> Option<String> {
    target.observe(&[slice()]).await.unwrap().remove(0).inside.at
}

async fn nobody_notices(ground: Ground) {
    let target = ground.world.target();
    ground.bring(&target, 1).await;
    // The proxy was led to the first port by its own file.
    assert_eq!(ground.answers(1).as_deref(), Some("1"));
    let users = Users::start(ground.proxy.port());
    users.until_served_by("1");

    let (op, step, first) = ground.ready(&target, 2).await;
    assert_eq!(
        target.stand(&op, &step).await.unwrap(),
        Stood::Beside {
            port: ground.ports[0]
        }
    );
    assert_eq!(ground.answers(0).as_deref(), Some("2"), "it stands");
    assert_eq!(ground.serves().as_deref(), Some("1"), "and does not serve");
    assert_eq!(ground.current().as_deref(), Some("1"));
    assert_eq!(seen(&target).await, step.expect);
    // Once more, as after an answer that was lost: it is not started anew.
    let pid = || service::get(ground.ports[0], "/version").unwrap().1;
    let was = pid();
    target.stand(&op, &step).await.unwrap();
    assert_eq!(pid(), was);
    let runs = target.activate(&op, &step).await.unwrap();
    assert_eq!(target.activate(&op, &step).await.unwrap(), runs);
    assert_eq!(ground.current().as_deref(), Some("2"));
    assert_eq!(target.serving_port(&slice()), Some(ground.ports[0]));
    let color = format!("port {} (blue)", ground.ports[0]);
    assert_eq!(at(&target).await.as_deref(), Some(color.as_str()));
    users.until_served_by("2");
    target.verify(&op, &slice(), &runs).await.unwrap();

    // Back, while the old one still runs: nothing is started.
    let was = service::get(ground.ports[1], "/version").unwrap().1;
    target.restore(&op, &back(&first)).await.unwrap();
    users.until_served_by("1");
    assert_eq!(service::get(ground.ports[1], "/version").unwrap().1, was);
    target
        .finish(&op, &place(&target).await, &Cleanup::ReleaseOnly)
        .await
        .unwrap();
    assert_eq!(ground.answers(0), None, "what went back is stopped");

    ground.bring(&target, 3).await;
    assert_eq!(ground.answers(1), None, "what was relieved is stopped");
    users.until_served_by("3");
    ground.bring(&target, 4).await;
    users.until_served_by("4");
    users.lost_only_in(&ground.proxy.reloads());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_behind_nginx() {
    nobody_notices(Ground::new(Kind::Nginx)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_on_a_host_with_busybox() {
    let mut ground = Ground::new(Kind::Nginx);
    ground.world.connections = Connections::with_tools(busybox(&ground.world));
    nobody_notices(ground).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_behind_caddy() {
    nobody_notices(Ground::new(Kind::Caddy)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_nobody_confirms_leads_its_users_back() {
    let ground = Ground::new(Kind::Nginx);
    let target = ground.world.target();
    ground.bring(&target, 1).await;
    let was = seen(&target).await;
    let users = Users::start(ground.proxy.port());
    users.until_served_by("1");
    arm(
        &ground.world,
        &target,
        2,
        &ground.release(2),
        Duration::from_secs(3),
    )
    .await;
    users.until_served_by("2");
    drop(target);
    wait::until(Duration::from_secs(20), "nothing to be armed", || {
        !ground.world.path().join(".deploy/armed").exists() && watchers(&ground.world).is_empty()
    });
    users.until_served_by("1");
    assert_eq!(seen(&ground.world.target()).await, was);
    users.lost_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_one_that_died_is_started_again_before_anybody_is_led_back() {
    let ground = Ground::new(Kind::Nginx);
    let target = ground.world.target();
    ground.bring(&target, 1).await;
    let (op, prepared) = ground.move_to(&target, 2).await;
    let users = Users::start(ground.proxy.port());
    users.until_served_by("2");
    service::end_all(&ground.world.dir.path().join("units"));
    assert_eq!((ground.answers(0), ground.answers(1)), (None, None));
    target.restore(&op, &back(&prepared)).await.unwrap();
    assert_eq!(ground.serves().as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_release_goes_back_to_nothing() {
    let ground = Ground::new(Kind::Nginx);
    let target = ground.world.target();
    let was = fs::read(ground.proxy.file()).unwrap();
    let (op, prepared) = ground.move_to(&target, 1).await;
    assert_eq!(ground.serves().as_deref(), Some("1"));
    assert_eq!(
        target.restore(&op, &back(&prepared)).await.unwrap(),
        Runs::Nothing
    );
    assert_eq!(fs::read(ground.proxy.file()).unwrap(), was);
    assert_eq!((ground.answers(0), ground.answers(1)), (None, None));
}

/// Neither of the two serves, nor starts again with the host; and it is put back as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_taken_out_has_neither_port_left() {
    let ground = Ground::new(Kind::Nginx);
    let target = ground.world.target();
    ground.bring(&target, 1).await;
    let (op, prepared) = ground.move_to(&target, 2).await;
    assert_eq!(ground.serves().as_deref(), Some("2"));
    for _ in 0..2 {
        let runs = target.stop(&op, &out(&prepared)).await.unwrap();
        assert_eq!(runs, Runs::Nothing);
        assert_eq!((ground.answers(0), ground.answers(1)), (None, None));
        let left = fs::read_dir(ground.world.path().join("ports")).unwrap();
        assert_eq!(left.count(), 0);
    }
    let back = Restore {
        ours: vec![prepared.will_be.clone(), Runs::Nothing],
        ..back(&prepared)
    };
    target.restore(&op, &back).await.unwrap();
    assert_eq!(ground.serves().as_deref(), Some("1"));
    assert_eq!(ground.current().as_deref(), Some("1"));
    end(&target, &op).await;
    ground.bring(&target, 3).await;
    assert_eq!(ground.serves().as_deref(), Some("3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_the_proxy_does_not_take_changes_nothing() {
    let ground = Ground::new(Kind::Nginx);
    let target = ground.world.target();
    ground.bring(&target, 1).await;
    let users = Users::start(ground.proxy.port());
    let file = fs::read(ground.proxy.file()).unwrap();
    let stays = async |target: &SshTarget, op: &Op, step: &Move, says: &str| {
        let error = ground.fails(target, op, step).await;
        assert_eq!(error.certainty, Certainty::NotDone, "{error}");
        assert!(error.failure.message.contains(says), "{error}");
        assert_eq!(fs::read(ground.proxy.file()).unwrap(), file, "{says}");
        assert_eq!(seen(target).await, step.expect, "{says}");
        assert!(!ground.world.path().join(".deploy/armed").exists(), "{says}");
        let place = place(target).await;
        target.finish(op, &place, &Cleanup::ReleaseOnly).await.unwrap();
        assert_eq!(ground.answers(0), None, "{says}: it is left standing");
    };

    // Somebody else's mistake, found before anything of ours is in it.
    let config = fs::read_to_string(ground.proxy.config()).unwrap();
    fs::write(ground.proxy.config(), format!("{config}\nnonsense;\n")).unwrap();
    let (op, step, _) = ground.ready(&target, 2).await;
    stays(&target, &op, &step, "before anything of it was changed").await;
    fs::write(ground.proxy.config(), &config).unwrap();

    // One that only what is ours brings out.
    let mut binding = ground.world.binding.clone();
    let only_old = format!("! grep -q :{} \"$DEPLOY_PROXY_FILE\"", ground.ports[0]);
    binding.beside.as_mut().unwrap().proxy.test = shell(&only_old);
    let failing = SshTarget::new(binding, &ground.world.connections).unwrap();
    let (op, step, _) = ground.ready(&failing, 3).await;
    stays(&failing, &op, &step, "does not take the new configuration").await;

    // The reload fails.
    let mut binding = ground.world.binding.clone();
    binding.beside.as_mut().unwrap().proxy.reload = shell("echo no rights >&2; exit 3");
    let failing = SshTarget::new(binding, &ground.world.connections).unwrap();
    let (op, step, _) = ground.ready(&failing, 4).await;
    stays(&failing, &op, &step, "ended with status 3").await;
    users.until_served_by("1");

    // The reload is told, and nothing comes of it. Other nginxes of this machine are not this one.
    let mut binding = ground.world.binding.clone();
    let told = format!("true -c {}", ground.proxy.config().display());
    binding.beside.as_mut().unwrap().proxy.reload = shell(&told);
    let failing = SshTarget::new(binding, &ground.world.connections).unwrap();
    let (op, step, _) = ground.ready(&failing, 5).await;
    stays(&failing, &op, &step, "was told to reload, and did not").await;
    users.until_served_by("1");
    users.lost_nothing();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxys_file_that_somebody_changed_is_left_alone() {
    let ground = Ground::new(Kind::Nginx);
    let target = ground.world.target();
    ground.bring(&target, 1).await;
    let theirs = format!(
        "upstream web {{ server 127.0.0.1:{} weight=2; }}\n",
        ground.ports[1]
    );
    fs::write(ground.proxy.file(), &theirs).unwrap();
    let (op, step, _) = ground.ready(&target, 2).await;
    let error = target.stand(&op, &step).await.unwrap_err();
    assert_eq!(error.failure.code, Code::Overtaken);
    assert_eq!(fs::read_to_string(ground.proxy.file()).unwrap(), theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_somebody_else_listens_at_is_not_taken() {
    let ground = Ground::new(Kind::Nginx);
    let target = ground.world.target();
    ground.bring(&target, 1).await;
    let _theirs = std::net::TcpListener::bind(("127.0.0.1", ground.ports[0])).unwrap();
    let (op, step, _) = ground.ready(&target, 2).await;
    let error = target.stand(&op, &step).await.unwrap_err();
    assert!(error.failure.message.contains("is taken"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_was_cut_short_and_given_up_is_settled_by_the_next() {
    let ground = Ground::new(Kind::Nginx);
    let target = ground.world.target();
    ground.bring(&target, 1).await;
    let users = Users::start(ground.proxy.port());
    users.until_served_by("1");
    // As a kill between the reload and the symlink leaves it.
    let (op, step, prepared) = ground.ready(&target, 2).await;
    target.stand(&op, &step).await.unwrap();
    let turn = ground
        .world
        .path()
        .join(format!(".deploy/turns/{}", deployment(2)));
    fs::copy(turn.with_extension("new"), ground.proxy.file()).unwrap();
    let Runs::Release { fingerprint, .. } = &prepared.will_be else {
        panic!("{prepared:?}")
    };
    let moving = format!("{} {fingerprint}\n", deployment(2));
    fs::write(ground.world.path().join(".deploy/moving"), moving).unwrap();
    let reloaded = std::process::Command::new("sh")
        .args(["-c", &ground.proxy.reload()])
        .status();
    assert!(reloaded.unwrap().success());
    users.until_served_by("2");

    let mut taken = request(3);
    taken.may_take = vec![deployment(2)];
    target.claim(&place(&target).await, &taken).await.unwrap();
    ground.bring(&target, 3).await;
    users.until_served_by("3");
    users.lost_nothing();
    // Nobody is left at the other port.
    assert_eq!(
        [ground.answers(0), ground.answers(1)].iter().flatten().count(),
        1,
        "both run"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_and_the_restart_know_their_port() {
    let mut ground = Ground::new(Kind::Nginx);
    let note = ground.world.dir.path().join("note");
    let say = |when: &str| format!("echo {when} $DEPLOY_PORT $DEPLOY_COLOR >>'{}'", note.display());
    ground.world.binding.hooks = vec![
        hook("first", HookPoint::Before, &say("before")),
        hook("last", HookPoint::After, &say("after")),
    ];
    let points: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let names = Arc::clone(&points);
    let note_point = move |name| names.lock().unwrap().push(name);
    ground.world.binding.failpoint = Some(Failpoint(Arc::new(note_point)));
    let target = ground.world.target();
    ground.bring(&target, 1).await;
    for point in [
        "ssh.stand.before",
        "ssh.stand.after",
        "ssh.pass.before",
        "ssh.pass.after",
    ] {
        assert!(points.lock().unwrap().contains(&point), "{point}");
    }
    let port = ground.ports[1];
    assert_eq!(
        fs::read_to_string(&note).unwrap(),
        format!("before {port} green\nafter {port} green\n")
    );
    // What moves in place from now on does so at the port that serves.
    let mut binding = ground.world.binding.clone();
    binding.beside = None;
    let plain = SshTarget::new(binding, &ground.world.connections).unwrap();
    ground.bring(&plain, 2).await;
    assert_eq!(ground.serves().as_deref(), Some("2"));
    let (op, step, _) = ground.ready(&target, 3).await;
    assert_eq!(
        target.stand(&op, &step).await.unwrap(),
        Stood::Beside {
            port: ground.ports[0]
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_failed_is_named_and_nothing_was_started() {
    let mut ground = Ground::new(Kind::Nginx);
    ground.world.binding.hooks = vec![hook("migrate", HookPoint::Before, "false")];
    let target = ground.world.target();
    let (op, step, _) = ground.ready(&target, 1).await;
    let error = ground.fails(&target, &op, &step).await;
    let message = &error.failure.message;
    assert!(message.starts_with("the hook migrate at `before`"), "{message}");
    assert_eq!(error.certainty, Certainty::NotDone);
    assert_eq!((ground.answers(0), ground.answers(1)), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beside_is_not_pruned() {
    let mut ground = Ground::new(Kind::Nginx);
    // Nobody stops it: it runs on.
    ground.world.binding.stop = None;
    let target = ground.world.target();
    for number in 1..=3 {
        let (op, _) = ground.move_to(&target, number).await;
        target.confirm(&op, &slice()).await.unwrap();
        let cleanup = Cleanup::Prune { keep: 1 };
        target.finish(&op, &place(&target).await, &cleanup).await.unwrap();
    }
    assert_eq!(ground.answers(0).as_deref(), Some("2"));
    assert_eq!(ground.answers(1).as_deref(), Some("3"));
    let kept = fs::read_dir(ground.world.path().join("releases"))
        .unwrap()
        .count();
    assert_eq!(kept, 2);
    let refs = target.observe(&[slice()]).await.unwrap().remove(0);
    let numbers: Vec<_> = refs
        .kept
        .iter()
        .map(|ReleaseRef { number, .. }| number.0)
        .collect();
    assert_eq!(numbers, [3, 2]);
    assert!(refs.inside.left.is_empty(), "{:?}", refs.inside.left);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_looks_at_the_proxy() {
    let mut ground = Ground::new(Kind::Nginx);
    let found = async |world: &World| {
        let checks = examined(&world.target()).await;
        let check = checks.into_iter().find(|check| check.name == "proxy").unwrap();
        (matches!(check.state, CheckState::Well), check.detail)
    };
    let well = (true, "nginx takes its configuration".to_owned());
    assert_eq!(found(&ground.world).await, well);
    let config = fs::read_to_string(ground.proxy.config()).unwrap();
    fs::write(ground.proxy.config(), format!("{config}\nnonsense;\n")).unwrap();
    let (is_well, detail) = found(&ground.world).await;
    assert!(
        !is_well && detail.starts_with("the test of nginx ended with status 1: "),
        "{detail}"
    );
    ground.world.binding.beside.as_mut().unwrap().proxy.file = "/nowhere/web.conf".to_owned();
    assert_eq!(
        found(&ground.world).await,
        (false, "/nowhere may not be written".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_folder_is_adopted_and_live_again() {
    let ground = Ground::new(Kind::Nginx);
    let units = ground.world.dir.path().join("units");
    let (live, store) = (ground.world.path(), ground.world.path().with_extension("deploy"));
    WebRelease::healthy("live").write(&live);
    // It listens at the first port, started by nobody of ours.
    Unit::web("live", &live, &ground.ports[0].to_string()).install(&units);
    let command = service::restart_command(&units, "live");
    assert!(
        std::process::Command::new("sh")
            .args(["-c", &command])
            .status()
            .unwrap()
            .success()
    );
    Unit::web("web@", &store.join("ports/%i"), "%i").install(&units);
    let users = Users::start(ground.proxy.port());
    users.until_served_by("live");

    let target = ground.world.target();
    let (op, prepared) = ground.move_to(&target, 1).await;
    users.until_served_by("1");
    assert!(live.is_symlink());
    target.restore(&op, &back(&prepared)).await.unwrap();
    users.until_served_by("live");
    let place = place(&target).await;
    target.finish(&op, &place, &Cleanup::ReleaseOnly).await.unwrap();
    assert_eq!(
        ground.answers(0).as_deref(),
        Some("live"),
        "it was not restarted or stopped"
    );
    assert_eq!(ground.answers(1), None);
    ground.bring(&target, 2).await;
    users.until_served_by("2");
    assert_eq!(
        ground.answers(0).as_deref(),
        Some("live"),
        "it is not ours to stop"
    );
    assert!(ground.world.told("was not started by a deployment"));
    // Its port is free for the next only when somebody has stopped it.
    let (op, step, _) = ground.ready(&target, 3).await;
    let error = target.stand(&op, &step).await.unwrap_err();
    assert!(error.failure.message.contains("is taken"), "{error}");
    users.lost_nothing();
}
