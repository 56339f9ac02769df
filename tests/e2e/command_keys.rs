//! `airut sandbox run` with keys that sign: what the command signs with surrogates arrives signed with the
//! real key, and an app's token is a surrogate, too.

use crate::common::hosts::header;
use crate::e2e::command::{Project, assert_code, complained, said};

/// What the sandboxed command may not see.
const REAL_SECRET: &str = "wJalrXUtnFEMIreal/K7MDENGbPxRfiCYzEXAMPLE";
const REAL_TOKEN: &str = "a-real-session-token";

const FILE: &str = "signing_credentials:
  store:
    type: aws-sigv4
    access_key_id: AKIAREALREALREALREAL
    secret_access_key: !env STORE_SECRET
    session_token: !env STORE_TOKEN
    scopes: [origin.example.test]
github_app_credentials:
  GH_TOKEN: {app_id: 1, private_key: !env APP_KEY, installation_id: 2, scopes: [api.github.com]}
";

#[test]
fn a_command_signs_with_surrogates_and_the_real_key_arrives() {
    let Some(project) = Project::start() else {
        return;
    };
    project.write(
        ".airut/network-allowlist.yaml",
        "domains: [origin.example.test]\n",
    );
    project.write(".airut/sandbox.yaml", FILE);
    let script = "curl -sS -o /dev/null -w '%{http_code} ' --aws-sigv4 aws:amz:eu-north-1:s3 \
                  --user \"$AWS_ACCESS_KEY_ID:$STORE_SECRET\" -H \"x-amz-security-token: $STORE_TOKEN\" \
                  https://origin.example.test/echo; echo $GH_TOKEN; \
                  cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n' >&2";
    let mut command = project.command_on_hosts(&["--debug"], script);
    let command = command
        .env("STORE_SECRET", REAL_SECRET)
        .env("STORE_TOKEN", REAL_TOKEN)
        .env("APP_KEY", "a-real-app-key");
    let output = command.output().unwrap();
    assert_code(&output, 0);
    assert!(said(&output).starts_with("200 ghs_"), "{}", said(&output));

    let asked = project.world.hosts.requests_to("origin.example.test");
    let [authorization] = header(&asked[0], "authorization")[..] else {
        panic!("{asked:?}");
    };
    let signed = "AWS4-HMAC-SHA256 Credential=AKIAREALREALREALREAL/";
    assert!(authorization.starts_with(signed), "{authorization}");
    assert_eq!(header(&asked[0], "x-amz-security-token"), [REAL_TOKEN]);
    let words = complained(&output);
    assert!(words.contains("AWS_ACCESS_KEY_ID=AKIA"), "{words}");
    for real in [REAL_SECRET, REAL_TOKEN, "AKIAREAL", "a-real-app-key"] {
        assert!(!words.contains(real), "{words}");
    }

    // Without one of its variables it does not run, as with a masked secret.
    let mut command = project.command_on_hosts(&[], "true");
    let output = command.env("STORE_SECRET", REAL_SECRET).output().unwrap();
    assert_code(&output, 125);
    let told = complained(&output);
    assert!(told.contains("STORE_TOKEN is not set"), "{told}");
}
