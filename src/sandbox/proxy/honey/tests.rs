//! What is found, and what is not.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

const VALUE: &str = "ghp_Aa0Bb1Cc2Dd3Ee4Ff5Gg6Hh7Ii8Jj9Kk0Ll1";

fn trap() -> Arc<Trap> {
    let call = |host: &str, path: &str| ModelCall {
        host: host.to_owned(),
        path: path.to_owned(),
    };
    let honey = Honey {
        value: Secret::new(VALUE.to_owned()),
        model_calls: vec![
            call("api.anthropic.com", "/v1/messages"),
            call("bedrock-runtime.*.amazonaws.com", "/model/*/invoke*"),
        ],
    };
    Arc::new(Trap::new(honey).unwrap())
}

fn every_form() -> Vec<String> {
    let mut forms = vec![
        VALUE.to_owned(),
        hex::encode(VALUE),
        hex::encode(VALUE).to_uppercase(),
        VALUE.chars().rev().collect(),
    ];
    for user in ["", "u", "us", "use"] {
        let text = format!("{user}:{VALUE}:");
        forms.push(STANDARD.encode(&text));
        forms.push(URL_SAFE_NO_PAD.encode(&text));
    }
    forms
}

#[test]
fn the_value_is_found_in_every_form() {
    for form in every_form() {
        assert!(trap().in_bytes(format!("x{form}y").as_bytes()), "{form}");
    }
    let other = VALUE.replace("ghp_A", "ghp_B");
    assert!(!trap().in_bytes(other.as_bytes()));
    assert!(!trap().in_bytes(&VALUE.as_bytes()[1..]));
}

#[test]
fn the_value_is_found_in_a_url_behind_two_encodings() {
    let once: String = VALUE.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let twice = once.replace('%', "%25");
    for written in [VALUE, &once, &twice] {
        assert!(trap().in_url(&format!("/a?t={written}&x")), "{written}");
    }
    assert!(!trap().in_url("/a?t=ghp_"));
}

#[test]
fn the_value_is_found_in_names_in_any_case_and_over_labels() {
    let (one, other) = VALUE.split_at(9);
    for name in [
        format!("{}.evil.test", VALUE.to_lowercase()),
        format!("{}.{}.evil.test", one.to_uppercase(), other),
        format!("x{}.evil.test", hex::encode(VALUE)),
    ] {
        assert!(trap().in_name(name.as_bytes()), "{name}");
    }
    assert!(!trap().in_name(b"github.com"));
}

#[test]
fn the_value_is_found_in_headers_and_the_header_is_told() {
    let with = |name: &'static str, value: &str| {
        let value = HeaderValue::from_str(value).unwrap();
        HeaderMap::from_iter([(HeaderName::from_static(name), value)])
    };
    let basic = format!("Basic {}", STANDARD.encode(format!("git:{VALUE}")));
    let found = trap().in_headers(&with("authorization", &basic));
    assert_eq!(found.as_deref(), Some("the header authorization"));
    let found = trap().in_headers(&with("cookie", &format!("a=1; t={VALUE}")));
    assert_eq!(found.as_deref(), Some("the header cookie"));
    let name: HeaderName = format!("x-{}", VALUE.to_lowercase()).parse().unwrap();
    let found = trap().in_headers(&HeaderMap::from_iter([(
        name,
        HeaderValue::from_static("1"),
    )]));
    assert_eq!(found.as_deref(), Some("the name of a header"));
    let mut innocent = with("user-agent", "git/2.39");
    innocent.insert(AUTHORIZATION, HeaderValue::from_static("Bearer ghp_other"));
    assert_eq!(trap().in_headers(&innocent), None);
}

#[test]
fn only_posts_to_the_models_own_paths_are_talk_with_the_model() {
    let trap = trap();
    let is_call = |method, host, path| trap.honey().is_model_call(method, host, path);
    assert!(is_call(
        "POST",
        "api.anthropic.com",
        "/v1/messages?beta=true"
    ));
    let bedrock = "bedrock-runtime.eu-west-1.amazonaws.com";
    assert!(is_call(
        "POST",
        bedrock,
        "/model/claude/invoke-with-response-stream"
    ));
    for (method, host, path) in [
        ("PUT", "api.anthropic.com", "/v1/messages"),
        ("POST", "api.anthropic.com", "/v1/files"),
        ("POST", "api.anthropic.com", "/v1/messages/batches"),
        ("POST", "api.anthropic.com.evil.test", "/v1/messages"),
        ("POST", "evil.test", "/v1/messages"),
    ] {
        assert!(!is_call(method, host, path), "{method} {host}{path}");
    }
}

#[test]
fn a_value_too_short_to_be_told_from_innocent_text_is_no_trap() {
    let of = |value: &str| {
        Trap::new(Honey {
            value: Secret::new(value.to_owned()),
            model_calls: vec![],
        })
    };
    assert!(of("12345").is_none());
    assert!(of("123456").is_some() && of("1234567").is_some());
}

proptest! {
    #[test]
    fn cuts_make_no_difference(
        form in 0..12_usize,
        before in "[a-zA-Z0-9_]{0,90}",
        after in "[a-z]{0,90}",
        cuts in proptest::collection::vec(1..40_usize, 0..30),
        missing in any::<bool>(),
    ) {
        let mut form = every_form().swap_remove(form);
        if missing {
            form.replace_range(form.len() / 2..=form.len() / 2, "!");
        }
        let text = format!("{before}{form}{after}");
        let mut looking = Looking::new(trap());
        let (mut rest, mut found) = (text.as_bytes(), false);
        for cut in cuts {
            let (piece, later) = rest.split_at(cut.min(rest.len()));
            found |= !found && looking.push(piece);
            rest = later;
        }
        found |= !found && looking.push(rest);
        prop_assert_eq!(found, !missing);
    }
}
