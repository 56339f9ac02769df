//! System calls that no container of ours needs and from which ways out begin. Podman's own profile
//! allows some of them, since a kernel without faults gives nothing away through them; here they are
//! taken out of it. Whatever else Podman forbids stays forbidden.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Where Podman's profile lies; the first that is there counts (containers.conf(5)).
const PROFILES: [&str; 2] = [
    "/etc/containers/seccomp.json",
    "/usr/share/containers/seccomp.json",
];

/// Calls that are refused: namespaces, mounts, the kernel's keys, programs within the kernel,
/// io_uring, and faults that user space handles.
const REFUSED: [&str; 21] = [
    "add_key",
    "bpf",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "keyctl",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "request_key",
    "setns",
    "unshare",
    "userfaultfd",
    "clone3",
];

/// The flags of `clone` that make namespaces: mount, cgroup, UTS, IPC, user, process and network
/// (sched.h).
const NAMESPACE_FLAGS: u64 = 0x7e02_0000;

/// "Operation not permitted", and "function not implemented", upon which a C library does without
/// `clone3`, whose flags no filter can read.
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Writes the narrowed profile into a directory and returns its path; nothing where Podman has no
/// profile, so that its built-in one holds.
pub(super) fn write(directory: &Path) -> std::io::Result<Option<PathBuf>> {
    let profiles = PROFILES.iter().map(std::fs::read_to_string);
    let Some(own) = profiles.flatten().next() else {
        return Ok(None);
    };
    let narrowed = narrowed(&own)?;
    let path = directory.join("seccomp.json");
    std::fs::write(&path, narrowed)?;
    Ok(Some(path))
}

/// Returns a profile (OCI runtime specification, in Podman's JSON) without the refused calls.
fn narrowed(profile: &str) -> serde_json::Result<String> {
    let mut profile: Value = serde_json::from_str(profile)?;
    let ours = |name: &Value| {
        let name = name.as_str().unwrap_or_default();
        name == "clone" || REFUSED.contains(&name)
    };
    let mut rules: Vec<Value> = Vec::new();
    for mut rule in profile["syscalls"].as_array().cloned().unwrap_or_default() {
        if let Some(names) = rule["names"].as_array_mut() {
            names.retain(|name| !ours(name));
        }
        let empty = rule["names"].as_array().is_none_or(Vec::is_empty);
        if !empty {
            rules.push(rule);
        }
    }
    let plain: Vec<&str> = REFUSED
        .into_iter()
        .filter(|name| *name != "clone3")
        .collect();
    rules.push(refusal(&plain, EPERM));
    rules.push(refusal(&["clone3"], ENOSYS));
    rules.push(json!({
        "names": ["clone"],
        "action": "SCMP_ACT_ALLOW",
        "args": [{
            "index": 0,
            "value": NAMESPACE_FLAGS,
            "valueTwo": 0,
            "op": "SCMP_CMP_MASKED_EQ",
        }],
    }));
    profile["syscalls"] = Value::Array(rules);
    serde_json::to_string(&profile)
}

fn refusal(names: &[&str], errno: u32) -> Value {
    json!({ "names": names, "action": "SCMP_ACT_ERRNO", "args": [], "errnoRet": errno })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(profile: &str) -> Vec<Value> {
        let profile: Value = serde_json::from_str(&narrowed(profile).unwrap()).unwrap();
        profile["syscalls"].as_array().unwrap().clone()
    }

    #[test]
    fn refused_calls_are_taken_out_of_what_is_allowed() {
        let own = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["read", "unshare", "clone", "clone3"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["setns"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}}
        ]}"#;
        let rules = rules(own);
        let allowed = rules
            .iter()
            .filter(|rule| rule["action"] == "SCMP_ACT_ALLOW");
        let allowed: Vec<&Value> = allowed.map(|rule| &rule["names"]).collect();
        assert_eq!(allowed, [&json!(["read"]), &json!(["clone"])]);
        let clone = rules.last().unwrap();
        assert_eq!(clone["args"][0]["value"], 0x7e02_0000_u64);
        let refused = &rules[rules.len() - 3];
        assert_eq!(refused["errnoRet"], 1);
        assert!(
            refused["names"]
                .as_array()
                .unwrap()
                .contains(&json!("unshare"))
        );
    }

    #[test]
    fn a_profile_that_is_no_json_is_an_error_and_not_an_open_door() {
        assert!(narrowed("{").is_err());
    }
}
