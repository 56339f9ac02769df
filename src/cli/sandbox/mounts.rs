//! `--mount SRC:DST[:ro]`, and the working directory at `/workspace`.

use std::path::{Component, Path};

use crate::service::command_run::Mount;

/// Where the working directory is mounted.
const WORKSPACE: &str = "/workspace";

/// Returns the mounts of a command: the working directory, unless something else is asked for in its
/// place, and what is asked for.
pub(super) fn mounts(working_dir: &Path, asked: &[String]) -> anyhow::Result<Vec<Mount>> {
    let mut mounts = asked
        .iter()
        .map(|text| read(text))
        .collect::<Result<Vec<Mount>, _>>()?;
    if !mounts.iter().any(|mount| mount.target == WORKSPACE) {
        let workspace = mount(working_dir, WORKSPACE, false)?;
        mounts.insert(0, workspace);
    }
    Ok(mounts)
}

/// Returns whether the container can write to a file of the host.
pub(super) fn can_write(mounts: &[Mount], file: &Path) -> bool {
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    // A directory that is to be made lies in one that is there.
    let mut directories = path.ancestors().skip(1);
    let directory = directories.find_map(|part| part.canonicalize().ok());
    let is_in = |mount: &Mount| {
        directory
            .as_ref()
            .is_some_and(|d| d.starts_with(&mount.source))
    };
    mounts.iter().any(|mount| !mount.read_only && is_in(mount))
}

fn read(text: &str) -> anyhow::Result<Mount> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, read_only) = match parts[..] {
        [source, target] => (source, target, false),
        [source, target, "ro"] => (source, target, true),
        _ => anyhow::bail!("--mount {text}: the form is SRC:DST or SRC:DST:ro"),
    };
    let is_plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    let path = Path::new(target);
    let is_inside = path.is_absolute() && path != Path::new("/");
    if !is_inside || !path.components().all(is_plain) {
        anyhow::bail!("--mount {text}: {target} must be an absolute path in the container");
    }
    mount(Path::new(source), target.trim_end_matches('/'), read_only)
}

fn mount(source: &Path, target: &str, read_only: bool) -> anyhow::Result<Mount> {
    let told = source.display();
    let canonical = source
        .canonicalize()
        .map_err(|error| anyhow::anyhow!("{told} cannot be mounted: {error}"))?;
    let Some(path) = canonical.to_str() else {
        anyhow::bail!("{told} cannot be mounted: its path is no text");
    };
    Ok(Mount {
        source: path.to_owned(),
        target: target.to_owned(),
        read_only,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(asked: &[&str]) -> Result<Vec<String>, String> {
        let asked: Vec<String> = asked.iter().map(|text| (*text).to_owned()).collect();
        let mounts = mounts(Path::new("/usr"), &asked).map_err(|error| error.to_string())?;
        let told = |mount: &Mount| {
            let mode = if mount.read_only { "ro" } else { "rw" };
            format!("{} {} {mode}", mount.source, mount.target)
        };
        Ok(mounts.iter().map(told).collect())
    }

    #[test]
    fn the_working_directory_is_the_workspace_unless_something_else_is() {
        assert_eq!(told(&[]).unwrap(), ["/usr /workspace rw"]);
        let both = told(&["/:/host/:ro", "/usr:/data"]).unwrap();
        assert_eq!(both, ["/usr /workspace rw", "/ /host ro", "/usr /data rw"]);
        assert_eq!(
            told(&["/usr:/workspace:ro"]).unwrap(),
            ["/usr /workspace ro"]
        );
    }

    #[test]
    fn a_file_below_a_writable_mount_can_be_written_to() {
        let mounts = |mode: bool| [mount(Path::new("/usr"), "/x", mode).unwrap()];
        assert!(can_write(&mounts(false), Path::new("/usr/new/net.log")));
        assert!(!can_write(&mounts(true), Path::new("/usr/new/net.log")));
        assert!(!can_write(&mounts(false), Path::new("/etc/net.log")));
    }

    #[test]
    fn what_is_no_mount_is_refused_with_its_form() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let error = told(&[text]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        check("/usr", "the form is SRC:DST or SRC:DST:ro");
        check("/usr:/data:rw", "the form is");
        check("/usr:data", "data must be an absolute path");
        check("/usr:/", "must be an absolute path");
        check("/usr:/data/../etc", "must be an absolute path");
        check("/not-there:/data", "/not-there cannot be mounted: ");
    }
}
