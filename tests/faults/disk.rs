//! Disks that are full, read-only or broken.

use crate::ground::{Daemon, fill, mount, run, until, with_mounts, words};

/// What the operator reads when the daemon ends because of its log.
const ENDED: &str = "nothing that was acknowledged is lost";

#[test]
fn a_full_disk_ends_the_daemon_with_a_message_and_loses_nothing() {
    with_mounts(
        "disk::a_full_disk_ends_the_daemon_with_a_message_and_loses_nothing",
        |ground| {
            ground.mount_ext4(&ground.path("image"), 16, &ground.log());
            let mut daemon = ground.daemon();
            ground.send("while there is room").unwrap();
            let ballast = fill(&ground.log());
            let (taken, refused) = ground.send_until_refused();
            assert_eq!(daemon.await_end().code(), Some(3), "{}", daemon.said());
            let said = daemon.said();
            for part in [
                "No space left on device",
                "make room on its file system",
                ENDED,
            ] {
                assert!(said.contains(part), "{part}: {said}");
            }
            assert!(!refused.is_empty());
            // Started again on the full disk it says the same, or works where some bytes are left.
            let mut again = ground.spawn();
            if let Some(status) = until_up_or_ended(&mut again) {
                assert_eq!(status.code(), Some(2));
                assert!(again.said().contains("make room"), "{}", again.said());
            }
            drop(again);
            // The index is not to blame for the disk.
            assert!(!ground.log().join("index.before-rebuild-1").exists());
            std::fs::remove_file(ballast).unwrap();
            let mut daemon = ground.daemon();
            ground.send("there is room again").unwrap();
            ground.check_nothing_lost(taken + 2);
            daemon.stop();
            ground.check_nothing_lost(taken + 2);
        },
    );
}

fn until_up_or_ended(daemon: &mut Daemon<'_>) -> Option<std::process::ExitStatus> {
    until("a daemon that is up or refused", || {
        let ended = daemon.try_end();
        let is_up = daemon.said().contains("airut takes messages in");
        (ended.is_some() || is_up).then_some(ended)
    })
}

#[test]
fn a_daemon_whose_bodies_have_no_room_refuses_messages_until_there_is_room_again() {
    with_mounts(
        "disk::a_daemon_whose_bodies_have_no_room_refuses_messages_until_there_is_room_again",
        |ground| {
            let blobs = ground.state().join("blobs");
            ground.mount_ext4(&ground.path("image"), 8, &blobs);
            let mut daemon = ground.daemon();
            let ballast = fill(&blobs);
            let refused = ground.send("no room for this").unwrap_err();
            assert!(refused.contains("No space left on device"), "{refused}");
            assert_eq!(ground.events("MessageReceived").len(), 0);
            std::fs::remove_file(ballast).unwrap();
            ground.send("room for this").unwrap();
            ground.check_nothing_lost(1);
            daemon.stop();
        },
    );
}

#[test]
fn a_file_system_that_becomes_read_only_ends_the_daemon_and_refuses_the_next() {
    with_mounts(
        "disk::a_file_system_that_becomes_read_only_ends_the_daemon_and_refuses_the_next",
        |ground| {
            let image = ground.path("image");
            ground.mount_ext4(&image, 16, &ground.log());
            let mut daemon = ground.daemon();
            ground.send("while it is writable").unwrap();
            // As the kernel does after an error.
            run(
                "mount",
                &["-o", "remount,abort", ground.log().to_str().unwrap()],
            );
            let (taken, _refused) = ground.send_until_refused();
            assert_eq!(daemon.await_end().code(), Some(3), "{}", daemon.said());
            let said = daemon.said();
            for part in ["Read-only file system", "see dmesg", ENDED] {
                assert!(said.contains(part), "{part}: {said}");
            }
            let log = ground.log();
            run("umount", &[log.to_str().unwrap()]);
            mount("loop", &image, &log);
            run("mount", &["-o", "remount,ro", log.to_str().unwrap()]);
            let said = ground.refusal();
            for part in ["Read-only file system", "make its file system writable"] {
                assert!(said.contains(part), "{part}: {said}");
            }
            // What cannot be written can be audited all the same.
            let verified = ground.airut(&["verify"]);
            let said = words(&verified);
            assert!(verified.status.success(), "{said}");
            assert!(said.contains("index   not compared"), "{said}");
            run("umount", &[log.to_str().unwrap()]);
            mount("loop", &image, &log);
            let mut daemon = ground.daemon();
            ground.check_nothing_lost(taken + 1);
            daemon.stop();
        },
    );
}

#[test]
fn a_disk_that_fails_ends_the_daemon_and_loses_nothing() {
    with_mounts(
        "disk::a_disk_that_fails_ends_the_daemon_and_loses_nothing",
        |ground| {
            // The disk of the log is a file on a disk that is torn out: its writes are I/O errors.
            let outer = ground.path("outer");
            ground.mount_ext4(&ground.path("outer-image"), 64, &outer);
            let inner = outer.join("image");
            ground.mount_ext4(&inner, 16, &ground.log());
            let mut daemon = ground.daemon();
            ground.send("while the disk works").unwrap();
            run("mount", &["-o", "remount,abort", outer.to_str().unwrap()]);
            let (taken, _refused) = ground.send_until_refused();
            assert_eq!(daemon.await_end().code(), Some(3), "{}", daemon.said());
            let said = daemon.said();
            for part in ["the log cannot be written any more", ENDED] {
                assert!(said.contains(part), "{part}: {said}");
            }
            let disk = said.contains("Input/output error") || said.contains("Read-only");
            assert!(disk, "{said}");
            // Put in again, as after the cable was.
            for directory in [ground.log(), outer.clone()] {
                run("umount", &[directory.to_str().unwrap()]);
            }
            mount("loop", &ground.path("outer-image"), &outer);
            mount("loop", &inner, &ground.log());
            let mut daemon = ground.daemon();
            ground.check_nothing_lost(taken + 1);
            daemon.stop();
        },
    );
}
