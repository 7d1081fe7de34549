//! Reading and storing templates.

use super::*;

fn store_and_read(template: &Template) -> Template {
    let stored = serde_json::to_string(template).expect("JSON");
    serde_json::from_str(&stored).expect("its own form")
}

#[test]
fn every_template_survives_being_stored() {
    let secret = Part::Secret(VarName::new("TOKEN").expect("a name"));
    for parts in [
        vec![Part::Text("a$".to_owned()), Part::Fact(Fact::Host)],
        vec![Part::Text("$${x".to_owned()), secret, Part::Fact(Fact::Port)],
        vec![],
    ] {
        let mut template = Template::default();
        for part in parts {
            template.push(part);
        }
        assert_eq!(store_and_read(&template), template);
    }
    let json =
        serde_json::to_string(&from_text("http://${host}:${port}").expect("a template")).expect("JSON");
    assert_eq!(json, r#""http://${host}:${port}""#);
}

#[test]
fn references_are_read() {
    let var = |name: &str, default: Option<&str>| Piece::Var {
        name: VarName::new(name).expect("a name"),
        default: default.map(str::to_owned),
    };
    let text = |text: &str| Piece::Text(text.to_owned());
    for (from, pieces) in [
        ("", vec![]),
        ("$", vec![text("$")]),
        ("a$b{c}", vec![text("a$b{c}")]),
        ("$${A}", vec![text("${A}")]),
        ("${A}${host}", vec![var("A", None), Piece::Fact(Fact::Host)]),
        ("${A:-}", vec![var("A", Some(""))]),
        (
            "x${A:-${B:-{}}}y",
            vec![text("x"), var("A", Some("${B:-{}}")), text("y")],
        ),
    ] {
        assert_eq!(parse(from), Ok(pieces), "{from}");
    }
    for bad in [
        "${",
        "${A",
        "${}",
        "${a b}",
        "${hots}",
        "${A-b}",
        "${host:-x}",
        "${1}",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
