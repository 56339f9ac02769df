//! The life of `airut sandbox run`: limits, signals, what is left, and who else is on the machine.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::common::parts::BASE_IMAGE;
use crate::common::{PATIENCE, run, until};
use crate::e2e::command::{Project, assert_code, complained, said};

/// A command that runs and has said so.
struct Running {
    child: Child,
    instance: String,
}

impl Project {
    /// Starts a script that says `ready` once it runs.
    fn start_script(&self, script: &str) -> Running {
        let known = self.owners();
        let mut command = self.command(&["run", "--", "sh", "-c", script]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        child.stdout = Some(stdout.into_inner());
        let mut owners = self.owners();
        owners.retain(|owner| !known.contains(owner));
        let [owner] = &owners[..] else {
            panic!("one new owner: {owners:?}")
        };
        let instance = format!("cli-{owner}");
        Running { child, instance }
    }

    fn owners(&self) -> Vec<String> {
        let owners = fs::read_dir(self.world.dir.join("state/airut/sandbox/owners"));
        let owners = owners.into_iter().flatten();
        owners
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

impl Running {
    fn signal(&self, signal: &str) {
        run(Command::new("kill").args([signal, &self.child.id().to_string()]));
    }

    fn end(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Containers and networks that carry its label.
    fn left(&self) -> usize {
        left(&self.instance)
    }
}

fn left(instance: &str) -> usize {
    let label = format!("label=airut.instance={instance}");
    let containers = run(Command::new("podman").args(["ps", "-aq", "--filter", &label]));
    let networks = run(Command::new("podman").args(["network", "ls", "-q", "--filter", &label]));
    containers.lines().count() + networks.lines().count()
}

#[test]
fn a_command_beyond_its_limits_is_ended_with_all_its_children() {
    let Some(project) = Project::start() else {
        return;
    };
    let script =
        "(while sleep 0.2; do date +%s%N >/workspace/alive; done) & echo begun; sleep 1000";
    let output = project.run(&["--timeout", "3"], script);
    assert_code(&output, 124);
    assert_eq!(said(&output), "begun\n");
    assert_eq!(
        complained(&output),
        "airut: the command ran into its time limit of 3 s\n"
    );
    let alive = fs::read(project.dir.join("alive")).unwrap();
    assert!(!alive.is_empty() && project.owners().is_empty());
    project.run(&[], "sleep 1");
    assert_eq!(
        fs::read(project.dir.join("alive")).unwrap(),
        alive,
        "its child has ended too"
    );

    project.write(".airut/sandbox.yaml", "resource_limits: {memory: 64m}\n");
    let output = project.run(&[], "head -c 300m /dev/zero | tail");
    // The shell that the kernel spared tells of its child that it killed.
    let words = complained(&output);
    assert_code(&output, 137);
    assert!(
        words.contains("raise resource_limits.memory in .airut/sandbox.yaml"),
        "{words}"
    );
}

#[test]
fn a_signal_ends_the_command_gracefully_and_leaves_nothing_behind() {
    let Some(project) = Project::start() else {
        return;
    };
    let script = "trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.1; done";
    for signal in ["-INT", "-TERM"] {
        let running = project.start_script(script);
        assert_eq!(running.left(), 3, "a network and two containers");
        running.signal(signal);
        let instance = running.instance.clone();
        assert_eq!(running.end(), Some(9), "{signal}");
        assert_eq!(left(&instance), 0, "{signal}");
        assert!(project.owners().is_empty());
    }
    // A reader that goes away ends the command as it would end any other.
    let mut running = project.start_script("echo ready; while :; do echo more; done");
    drop(running.child.stdout.take());
    let instance = running.instance.clone();
    running.end();
    assert_eq!(left(&instance), 0);
}

#[test]
fn commands_and_a_daemon_leave_each_other_alone_and_only_the_dead_are_swept() {
    let Some(project) = Project::start() else {
        return;
    };
    let mut daemon = project.world.daemon();
    let send = project
        .world
        .launch
        .output(&["send", "[[hold:held]][[say:Done.]]"]);
    assert!(send.status.success(), "{}", complained(&send));
    daemon.await_event("the daemon's container", |event| {
        event.kind() == "AgentEventObserved"
    });
    let script = "echo ready; cat; exit 5";
    let (mut living, dead) = (project.start_script(script), project.start_script(script));
    dead.signal("-KILL");
    let killed = dead.instance.clone();
    assert_eq!(dead.end(), None);
    assert_eq!(left(&killed), 3, "nobody was there to remove them");

    let output = project.run(&[], "exit 4");
    assert_code(&output, 4);
    assert_eq!(
        left(&killed),
        0,
        "the next command sweeps what the dead one left"
    );
    assert_eq!(living.left(), 3, "and nothing of the living one");
    let service = format!("unix://{}", project.world.dir.join("runtime").display());
    until("the dead one's service to end", PATIENCE, || {
        // The daemon's and the living one's.
        let services = run(Command::new("ps").args(["axww", "-o", "args"]));
        (services.matches(&service).count() == 2).then_some(())
    });
    drop(living.child.stdin.take());
    assert_eq!(living.end(), Some(5));
    project.world.hosts.release("held");
    daemon.await_replies(1);
    assert!(project.owners().is_empty());
}

/// An image that no other test has, so that it can be removed.
struct Image {
    project: Project,
    tag: String,
}

impl Image {
    fn start() -> Option<Self> {
        let project = Project::start()?;
        let unique = project.world.dir.display();
        let dockerfile = format!("FROM {BASE_IMAGE}\nCOPY motd /motd\nLABEL of=\"{unique}\"\n");
        project.write(".airut/container/Dockerfile", &dockerfile);
        project.write(".airut/container/motd", "one\n");
        let output = project.command(&["image", "hash"]).output().unwrap();
        assert_code(&output, 0);
        let hashes = said(&output);
        let repo = hashes.lines().next().unwrap().strip_prefix("repo=");
        let repo = repo.unwrap();
        assert!(hashes.contains("\nproxy=") && repo.len() == 64, "{hashes}");
        let tag = format!("localhost/airut-repo:{repo}");
        Some(Self { project, tag })
    }

    fn exists(&self) -> bool {
        let mut asked = Command::new("podman");
        let asked = asked.args(["image", "exists", &self.tag]).status();
        asked.unwrap().success()
    }

    fn created(&self) -> String {
        run(Command::new("podman").args(["image", "inspect", "-f", "{{.Created}}", &self.tag]))
    }

    #[track_caller]
    fn does(&self, arguments: &[&str]) -> String {
        let output = self.project.command(arguments).output().unwrap();
        assert_code(&output, 0);
        complained(&output)
    }

    #[track_caller]
    fn assert_motd(&self, options: &[&str], expected: &str) {
        assert_eq!(said(&self.project.run(options, "cat /motd")), expected);
    }
}

#[test]
fn images_of_a_command_are_carried_to_another_machine() {
    let Some(image) = Image::start() else {
        return;
    };
    assert!(!image.exists(), "a hash builds nothing");
    image.does(&["image", "save", "saved"]);
    assert!(image.exists() && image.project.dir.join("saved/proxy.tar").exists());
    run(Command::new("podman").args(["rmi", "--force", &image.tag]));
    assert!(!image.exists());
    image.does(&["image", "load", "saved"]);
    assert!(image.exists());
    // Once more, over the files that are there.
    image.does(&["image", "save", "saved"]);
    image.assert_motd(&[], "one\n");
    fs::write(image.project.dir.join("saved/repo.tar"), b"no archive").unwrap();
    let words = image.does(&["image", "load", "saved"]);
    assert!(
        words.contains("repo.tar was not loaded and will be built"),
        "{words}"
    );
    image.does(&["image", "load", "nowhere"]);
    assert!(image.does(&["image", "build"]).is_empty());
}

#[test]
fn the_image_of_a_command_follows_its_content_and_is_built_again_when_it_is_old() {
    let Some(image) = Image::start() else {
        return;
    };
    image.assert_motd(&[], "one\n");
    image.project.write(".airut/container/motd", "two\n");
    image.assert_motd(&[], "two\n");
    image.project.write(".airut/container/motd", "one\n");
    let before = image.created();
    image.assert_motd(&["--max-image-age", "1"], "one\n");
    assert_eq!(image.created(), before);
    image.assert_motd(&["--max-image-age", "0"], "one\n");
    assert_ne!(image.created(), before, "0 is the age of every image");
}
