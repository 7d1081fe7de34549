//! Where services are put on hosts: no two in each other's way, in one environment or across them.

use deploy_core::manifest::{self, Manifest};
use deploy_core::problem::Problems;
use std::collections::BTreeMap;

/// A manifest of `api` and `web` at these paths, in staging and production on these hosts.
fn two(api: &str, web: &str, staging: &str, production: &str) -> Manifest {
    let text = format!(
        "[project]\nname = \"shop\"\n\
         [services.api.ssh]\nsource = \".\"\npath = \"{api}\"\n\
         [services.web.ssh]\nsource = \".\"\npath = \"{web}\"\n\
         [environments.staging.hosts]\n{staging}\n\
         [environments.production.hosts]\n{production}\n"
    );
    manifest::parse("deploy.toml", &text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// All that `check` says of it, one line each.
fn said(manifest: &Manifest) -> Vec<String> {
    let (mut resolved, mut found) = (Vec::new(), Vec::new());
    for name in manifest.environments() {
        found.extend(manifest.check(name, &BTreeMap::new(), &|_| None).err());
        resolved.extend(manifest.resolve(name, &BTreeMap::new(), &|_| None).ok());
    }
    found.extend(manifest.apart(&resolved, manifest.environments()).err());
    let mut lines: Vec<String> = found
        .into_iter()
        .flat_map(Problems::into_vec)
        .map(|problem| format!("{}: {}; {}", problem.line, problem.message, problem.help))
        .collect();
    lines.dedup();
    lines
}

/// Of one host for both environments' services, each environment in a folder of its own.
fn on_one(api: &str, web: &str) -> Vec<String> {
    said(&two(
        api,
        web,
        "a = { ssh = \"root@a\" }",
        "b = { ssh = \"root@b\" }",
    ))
}

#[test]
fn one_service_is_not_inside_another() {
    let beside = "give each service a folder of its own, beside the other's";
    for (api, web, line, message) in [
        ("/x/shop", "/x/shop/", 8, "api and web are both in /x/shop on a"),
        (
            "/x/shop",
            "/x/shop/web",
            8,
            "web is in /x/shop/web on a, and api is in /x/shop",
        ),
        (
            "/x/shop/./api",
            "/x//shop",
            5,
            "api is in /x/shop/api on a, and web is in /x/shop",
        ),
        (
            "/x/shop",
            "/x/shop/current",
            8,
            "web is in /x/shop/current on a, and /x/shop/current belongs to api",
        ),
        (
            "/x/shop",
            "/x/shop/current/web",
            8,
            "web is in /x/shop/current/web on a, and /x/shop/current belongs to api",
        ),
        (
            "/x/shop",
            "/x/shop/releases/web",
            8,
            "web is in /x/shop/releases/web on a, and /x/shop/releases belongs to api",
        ),
        (
            "/x/shop",
            "/x/shop/.deploy/web",
            8,
            "web is in /x/shop/.deploy/web on a, and /x/shop/.deploy belongs to api",
        ),
        (
            "/x/shop",
            "/x/shop/shared",
            8,
            "web is in /x/shop/shared on a, and /x/shop/shared belongs to api",
        ),
        (
            "/x/shop",
            "/x/shop.deploy",
            8,
            "web is in /x/shop.deploy on a, and /x/shop.deploy belongs to api",
        ),
    ] {
        let second = message.replace(" on a", " on b");
        let wanted = [second, message.to_owned()].map(|message| format!("{line}: {message}; {beside}"));
        assert_eq!(on_one(api, web), wanted, "{api} {web}");
    }
    for (api, web) in [
        ("/x/shop", "/x/shop-web"),
        ("/x/shop/api", "/x/shop/web"),
        ("/x/${service}", "/x/${service}"),
        ("/current/api", "/current/web"),
    ] {
        assert_eq!(on_one(api, web), [""; 0], "{api} {web}");
    }
}

#[test]
fn no_service_takes_the_place_of_the_systems() {
    for path in [
        "/etc", "/usr/", "/bin", "/var", "/home", "/root", "/boot", "/dev", "/proc", "/sys", "//tmp/.",
    ] {
        let found = on_one("/x/shop", path);
        let folder = path.replace("//", "/").trim_end_matches(['/', '.']).to_owned();
        let wanted = format!(
            "8: {folder} is the system's, and web would take its place; write a folder of the service's own, as in `/opt/shop`"
        );
        assert_eq!(found, [wanted.as_str(); 1], "{path}");
    }
    for path in ["/home/shop", "/var/www", "/tmp/shop", "/usr/local/shop"] {
        assert_eq!(on_one("/x/shop", path), [""; 0], "{path}");
    }
}

#[test]
fn environments_share_no_place() {
    let local = "a = { local = true }";
    let past = "what changes one environment changes the other, past its gates";
    let apart = |path: &str| {
        format!(
            "put the environment into the path, as in `path = \"{path}\"`, or give each environment a host of its own"
        )
    };
    let both = |host: &str, service: &str| {
        format!("{service} of production and {service} of staging are both in /x/{service} on {host}: {past}")
    };
    let wanted = vec![
        format!("5: {}; {}", both("a", "api"), apart("/x/${environment}/api")),
        format!("8: {}; {}", both("a", "web"), apart("/x/${environment}/web")),
    ];
    assert_eq!(said(&two("/x/api", "/x/web", local, local)), wanted);
    // One machine by two names.
    let other = two(
        "/x/api",
        "/x/web",
        "b = { ssh = \"deploy@h\" }",
        "a = { ssh = \"root@h\" }",
    );
    assert_eq!(
        said(&other),
        wanted
            .iter()
            .map(|said| said.replace(" on a", " on b"))
            .collect::<Vec<_>>()
    );
    // Inside the other.
    let inside = two(
        "/x/${environment}/api",
        "/x/production",
        "a = { ssh = \"h\" }",
        "b = { ssh = \"g\" }",
    );
    assert_eq!(
        said(&inside),
        [
            "5: api is in /x/production/api on b, and web is in /x/production; give each service a folder of its own, beside the other's"
        ]
    );
    let machines = [
        ("/x/${environment}/api", "/x/${environment}/web", local, local),
        ("/x/api", "/x/web", "a = { ssh = \"h\" }", "a = { ssh = \"g\" }"),
        ("/x/api", "/x/web", "a = { ssh = \"h\" }", local),
        (
            "/x/api",
            "/x/web",
            "a = { ssh = \"ssh://h:22\" }",
            "a = { ssh = \"ssh://h:2222\" }",
        ),
    ];
    for (api, web, staging, production) in machines {
        assert_eq!(
            said(&two(api, web, staging, production)),
            [""; 0],
            "{api} {staging} {production}"
        );
    }
}

#[test]
fn a_hosts_own_name_is_a_group_of_one() {
    let hosts = |named: &str, hosts: &str| {
        let text = format!(
            "[project]\nname = \"shop\"\n\
             [services.web.ssh]\nsource = \".\"\npath = \"/x/${{environment}}\"\nhosts = \"{named}\"\n\
             [environments.production.hosts]\n{hosts}\n\
             [environments.staging.hosts]\nb = {{ ssh = \"b\", groups = [\"db\", \"a\"] }}\na = {{ ssh = \"a\", groups = [\"web\"] }}\n"
        );
        let manifest = manifest::parse("deploy.toml", &text)?;
        let production = &manifest.environments()[0];
        let environment = manifest.resolve(production, &BTreeMap::new(), &|_| None)?;
        let web = environment.services.values().next().expect("web");
        let names = environment
            .hosts_of(web)
            .into_iter()
            .map(|host| host.name.to_string());
        Ok::<_, Problems>(names.collect::<Vec<_>>())
    };
    let none = "a = { ssh = \"a\" }\nb = { ssh = \"b\" }\nc = { ssh = \"c\" }";
    let some = "a = { ssh = \"a\" }\nb = { ssh = \"b\", groups = [\"web\"] }\nc = { ssh = \"c\", groups = [\"db\"] }";
    for (named, all, chosen) in [
        // What some environment calls a group is one, and whoever is in none is in all.
        ("web", none, ["a", "b", "c"].as_slice()),
        ("web", some, &["a", "b"]),
        ("db", some, &["a", "c"]),
        ("b", some, &["b"]),
        ("c", none, &["c"]),
        // A group of that name comes first: staging has one.
        ("a", none, &["a", "b", "c"]),
    ] {
        match hosts(named, all) {
            Ok(found) => assert_eq!(found, chosen, "{named} of {all}"),
            // Staging has no `c`.
            Err(problems) => assert_eq!(named, "c", "{problems}"),
        }
    }
    let said = hosts("wep", none).expect_err("nobody is that").to_string();
    assert!(
        said.contains("there is no host group `wep`") && said.contains("did you mean `web`?"),
        "{said}"
    );
    let said = hosts("search", none).expect_err("nobody is that").to_string();
    assert!(said.contains("its groups are a, db, web"), "{said}");
}
