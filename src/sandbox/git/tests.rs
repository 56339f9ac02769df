use tempfile::TempDir;

use super::*;

async fn sh(directory: &Path, script: &str) {
    let call = Call::new("sh", Duration::from_secs(30))
        .args(["-ec", script])
        .directory(directory);
    let call = call.env("GIT_CONFIG_GLOBAL", "/dev/null");
    let call = ["GIT_AUTHOR", "GIT_COMMITTER"]
        .iter()
        .fold(call, |call, who| {
            call.env(&format!("{who}_NAME"), "t")
                .env(&format!("{who}_EMAIL"), "t@example.test")
        });
    call.output().await.unwrap();
}

const SEED: &str = "git init -q -b trunk up; cd up; mkdir -p .airut/container/sub; echo FROM x > \
    .airut/container/Dockerfile; echo y > .airut/container/extra; ln -s /etc/passwd \
    .airut/container/link; echo z > .airut/container/sub/inner; git add .; git commit -qm one";

async fn world() -> (TempDir, GitMirrors, String, RepoId) {
    let directory = TempDir::new().unwrap();
    sh(directory.path(), SEED).await;
    let url = directory.path().join("up").display().to_string();
    let mirrors = GitMirrors::new(directory.path().join("state"));
    (directory, mirrors, url, RepoId("r".to_owned()))
}

#[tokio::test]
async fn a_mirror_follows_its_remote_and_files_are_read_from_a_commit() {
    let (directory, mirrors, url, repo) = world().await;
    let first = mirrors.fetch(&repo, &url).await.unwrap();
    assert!(first.created);
    assert_eq!(first.branch, "trunk");
    sh(
        directory.path(),
        "cd up; echo two > two; git add .; git commit -qm two",
    )
    .await;
    let second = mirrors.fetch(&repo, &url).await.unwrap();
    assert!(!second.created);
    assert_ne!(second.commit, first.commit);
    assert_eq!(
        mirrors
            .read_file(&repo, &second.commit, "two")
            .await
            .unwrap(),
        b"two\n"
    );
    let missing = mirrors.read_file(&repo, &first.commit, "two").await;
    assert_eq!(missing, Err(GitError::NoSuchPath("two".to_owned())));
}

#[tokio::test]
async fn a_directory_is_read_with_those_in_it_and_without_links() {
    let (_directory, mirrors, url, repo) = world().await;
    let head = mirrors.fetch(&repo, &url).await.unwrap();
    let files = mirrors
        .read_directory(&repo, &head.commit, ".airut/container")
        .await
        .unwrap();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Dockerfile", "extra", "sub/inner"]);
    assert_eq!(files[2].1, b"z\n");
    let missing = mirrors.read_directory(&repo, &head.commit, "nowhere").await;
    assert!(matches!(missing, Err(GitError::NoSuchPath(_))));
}

#[tokio::test]
async fn a_workspace_is_whole_and_has_the_real_origin() {
    let (directory, mirrors, url, repo) = world().await;
    mirrors.fetch(&repo, &url).await.unwrap();
    let workspace = directory.path().join("state/r/conversations/1/workspace");
    mirrors
        .clone_workspace(&repo, &url, &workspace)
        .await
        .unwrap();
    let origin = in_mirror(&workspace, &["remote", "get-url", "origin"])
        .await
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&origin).trim(), url);
    assert!(workspace.join(".airut/container/Dockerfile").exists());
    assert!(!workspace.join(".git/objects/info/alternates").exists());
    std::fs::write(workspace.join("mine"), "kept").unwrap();
    mirrors
        .clone_workspace(&repo, &url, &workspace)
        .await
        .unwrap();
    assert!(workspace.join("mine").exists());
}

#[tokio::test]
async fn a_changed_address_is_followed_and_an_unreachable_one_is_told() {
    let (directory, mirrors, url, repo) = world().await;
    mirrors.fetch(&repo, &url).await.unwrap();
    sh(
        directory.path(),
        "cp -r up other; cd other; echo o > o; git add .; git commit -qm o",
    )
    .await;
    let other = directory.path().join("other").display().to_string();
    let head = mirrors.fetch(&repo, &other).await.unwrap();
    assert!(mirrors.read_file(&repo, &head.commit, "o").await.is_ok());
    let gone = mirrors
        .fetch(&repo, "https://user:hunter2@127.0.0.1:1/x.git")
        .await
        .unwrap_err();
    assert!(matches!(gone, GitError::Remote(_)));
    assert!(!gone.to_string().contains("hunter2"), "{gone}");
}

#[tokio::test]
async fn a_directory_of_too_many_files_is_refused() {
    let (directory, mirrors, url, repo) = world().await;
    let many = format!(
        "cd up; mkdir many; seq {} | (cd many; xargs touch); git add .; git commit -qm many",
        CONTEXT_FILES_MAX + 1
    );
    sh(directory.path(), &many).await;
    let head = mirrors.fetch(&repo, &url).await.unwrap();
    let read = mirrors.read_directory(&repo, &head.commit, "many").await;
    let told = read.unwrap_err().to_string();
    assert_eq!(told, "many holds more than 1000 files");
}

#[tokio::test]
async fn attack_a_login_in_an_address_is_in_no_file_that_an_agent_sees() {
    let (directory, mirrors, url, repo) = world().await;
    mirrors.fetch(&repo, &url).await.unwrap();
    let secret = "https://user:hunter2@127.0.0.1:1/x.git";
    mirrors.fetch(&repo, secret).await.unwrap_err();
    let workspace = directory.path().join("workspace");
    mirrors
        .clone_workspace(&repo, secret, &workspace)
        .await
        .unwrap();
    let search = "! grep -rE 'hunter2|user:' state workspace";
    sh(directory.path(), search).await;
    let origin = in_mirror(&workspace, &["remote", "get-url", "origin"]).await;
    assert_eq!(origin.unwrap(), b"https://127.0.0.1:1/x.git\n");
}

/// Answers one request with 404 and returns what it was.
fn one_request(listener: &std::net::TcpListener) -> String {
    use std::io::{Read as _, Write as _};
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while !request.ends_with(b"\r\n\r\n") {
        let length = stream.read(&mut chunk).unwrap();
        request.extend(&chunk[..length]);
    }
    let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(answer).unwrap();
    String::from_utf8(request).unwrap()
}

#[tokio::test]
async fn a_login_in_an_address_reaches_the_server() {
    let directory = TempDir::new().unwrap();
    let mirrors = GitMirrors::new(directory.path().to_owned());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://user:pw@{}/x.git", listener.local_addr().unwrap());
    let asked = tokio::task::spawn_blocking(move || one_request(&listener));
    mirrors
        .fetch(&RepoId("r".to_owned()), &url)
        .await
        .unwrap_err();
    let asked = asked.await.unwrap();
    assert!(
        asked.contains("Authorization: Basic dXNlcjpwdw=="),
        "{asked}"
    );
}

#[test]
fn credentials_are_removed_from_addresses() {
    let text =
        "fatal: unable to access 'https://user:pw@git.test/a.git/': no, see http://b.test/@c";
    let clean = "fatal: unable to access 'https://git.test/a.git/': no, see http://b.test/@c";
    assert_eq!(without_credentials(text), clean);
}

#[tokio::test]
async fn who_changed_a_file_last_is_known_and_later_commits_do_not_hide_it() {
    let (directory, mirrors, url, repo) = world().await;
    let first = mirrors.fetch(&repo, &url).await.unwrap();
    let more = "cd up; echo two > two; git add .; git commit -qm two";
    sh(directory.path(), more).await;
    let head = mirrors.fetch(&repo, &url).await.unwrap();
    let dockerfile = ".airut/container/Dockerfile";
    let change = mirrors.last_change(&repo, &head.commit, dockerfile).await;
    let change = change.unwrap();
    assert_eq!(change.commit, first.commit);
    assert_eq!(change.author, "t <t@example.test>");
    assert!(change.committed_at.contains('T'), "{change:?}");
    let none = mirrors.last_change(&repo, &head.commit, "none").await;
    assert_eq!(none, Err(GitError::NoSuchPath("none".to_owned())));
}
