//! Tokens of a GitHub App: minted by the daemon's end of the link, put in by the proxy.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

use crate::client::status;
use crate::origin::{APP_TOKEN, OUR_REPOSITORY};
use crate::world::{APP_SURROGATE, LOST_APP_SURROGATE, World};

async fn post(world: &World, path: &str, authorization: &str, body: &str) -> Response<Incoming> {
    let request =
        Request::post(format!("https://two.test{path}")).header("authorization", authorization);
    let body = Full::new(Bytes::from(body.to_owned())).boxed_unsync();
    world.client.ask_two(request.body(body).unwrap()).await
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_minted_once_and_put_in_wherever_its_surrogate_stands() {
    let world = World::start().await;
    let bearer = format!("Bearer {APP_SURROGATE}");
    let basic = |secret| BASE64.encode(format!("x-access-token:{secret}"));
    let in_basic = format!("Basic {}", basic(APP_SURROGATE));
    for authorization in [&bearer, &in_basic] {
        let echoed = post(&world, "/repos", authorization, APP_TOKEN).await;
        assert_eq!(text(echoed).await, APP_SURROGATE);
    }
    let seen = world.origin.seen();
    let sent: Vec<_> = seen.iter().filter(|seen| seen.path == "/repos").collect();
    assert_eq!(
        sent[0].headers["authorization"],
        format!("Bearer {APP_TOKEN}")
    );
    assert_eq!(
        sent[1].headers["authorization"],
        format!("Basic {}", basic(APP_TOKEN))
    );
    let minted: Vec<_> = seen
        .iter()
        .filter(|seen| seen.path.starts_with("/app/"))
        .collect();
    assert_eq!(minted.len(), 1);
    assert_eq!(
        minted[0].body,
        r#"{"permissions":{"contents":"write"},"repositories":["ferry"]}"#
    );
    let jwt = minted[0].headers["authorization"].to_str().unwrap();
    assert_eq!(jwt.split('.').count(), 3);
    assert!(!format!("{:?}", world.setup).contains(APP_TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_share_a_token() {
    let world = World::start().await;
    for _run in 0..2 {
        let token = world.apps.token("GH_TOKEN").await.unwrap();
        assert_eq!(token.token.expose(), APP_TOKEN);
        assert_eq!(token.repositories[0].node_id, OUR_REPOSITORY);
    }
    let seen = world.origin.seen().into_iter();
    assert_eq!(
        seen.filter(|seen| seen.path.starts_with("/app/")).count(),
        1
    );
    assert!(world.apps.token("NOT_THIS_RUNS").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graphql_request_stays_within_the_apps_repositories() {
    let world = World::start().await;
    let bearer = format!("Bearer {APP_SURROGATE}");
    let ask = |owner: &str| {
        let query = format!("{{ repository(owner: \"{owner}\", name: \"ferry\") {{ id }} }}");
        serde_json::json!({ "query": query }).to_string()
    };
    let allowed = post(&world, "/graphql", &bearer, &ask("fleet")).await;
    assert_eq!(
        (allowed.status().as_u16(), text(allowed).await),
        (200, ask("fleet"))
    );
    for (path, body, why) in [
        ("/graphql", ask("other"), "other/ferry"),
        ("/%67raphql", ask("other"), "other/ferry"),
        ("/graphql?query=x", ask("fleet"), "query-params"),
        ("/graphql", "no json".to_owned(), "<unparseable>"),
    ] {
        let refused = post(&world, path, &bearer, &body).await;
        assert_eq!(refused.status(), 403, "{path}");
        let body = text(refused).await;
        assert!(
            body.contains("graphql_repo_scope_blocked") && body.contains(why),
            "{body}"
        );
    }
    let seen = world.origin.seen().into_iter();
    assert_eq!(seen.filter(|seen| seen.path.contains("raphql")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nothing_goes() {
    let world = World::start().await;
    let lost = format!("Bearer {LOST_APP_SURROGATE}");
    let response = post(&world, "/repos", &lost, "").await;
    assert_eq!(response.status(), 502);
    let body = text(response).await;
    assert!(body.contains("github_app_token_refresh_failed"), "{body}");
    let get = format!(
        "GET /repos HTTP/1.1\r\nhost: one.test\r\nconnection: close\r\n\
         authorization: Bearer {APP_SURROGATE}\r\n\r\n"
    );
    let answer = world.client.say_plain(&get).await;
    assert_eq!(status(&answer), 403, "{answer}");
    let mut seen = world.origin.seen().into_iter();
    assert!(seen.all(|seen| seen.path != "/repos"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_authorization_does_not_reach_an_apps_hosts() {
    let world = World::start().await;
    let response = post(&world, "/repos", "Bearer somebody-elses", "").await;
    assert_eq!(response.status(), 200);
    assert!(!world.origin.seen()[0].headers.contains_key("authorization"));
}
