//! One who develops needs no certificates of their own: the gateway makes them, and `gatehouse trust` makes programs trust them.

use std::process::{Command, Output, Stdio};

/// In a folder of its own; the gateway runs as it comes, but for its ports. With mounts of its own, the machine's roots are laid
/// aside for it alone, and the authority is installed among them; where nobody may have such, curl is told of it.
const SCRIPT: &str = r#"
set -eu
"$GATEHOUSE" trust > printed.crt
if [ "$MOUNTS" = yes ]; then
    mount --make-rprivate /
    mkdir ssl roots
    cp -a /etc/ssl/. ssl/
    mount --bind ssl /etc/ssl
    mkdir -p /usr/local/share/ca-certificates
    mount --bind roots /usr/local/share/ca-certificates
    "$GATEHOUSE" trust --install
    cmp printed.crt roots/gatehouse-development.crt
else
    export CURL_CA_BUNDLE=printed.crt
fi
mkfifo told
"$GATEHOUSE" run --set listen.http=127.0.0.1:0 --set listen.https=127.0.0.1:0 --set listen.admin=127.0.0.1:0 \
    --set log.format=json --set log.access=off 2> told &
gateway=$!
trap 'kill $gateway' EXIT
exec 3< told
while read -r line <&3; do
    case $line in *'gatehouse is ready'*) ready=$line; break ;; esac
done
port() { sed "s/.*\"$1\":\"127.0.0.1:\([0-9]*\)\".*/\1/" <<< "$ready"; }
https=$(port https) admin=$(port admin)
curl --silent --show-error --fail --output /dev/null --json \
    '{"name": "Acme", "slug": "acme", "plan": "free", "customDomain": "shop.localhost"}' "http://127.0.0.1:$admin/admin/tenants"
for name in acme.example.localhost shop.localhost deep.name.localhost unknown.test; do
    code=$(curl --silent --output /dev/null --write-out '%{http_code}' --connect-to "::127.0.0.1:$https" "https://$name:$https/") || true
    echo "$name $code"
done
if [ "$MOUNTS" = yes ]; then "$GATEHOUSE" trust --remove; else unset CURL_CA_BUNDLE; fi
curl --silent --output /dev/null --connect-to "::127.0.0.1:$https" "https://shop.localhost:$https/" || echo "curl $?"
stat -c '%a %n' certs/*
"#;

fn run(dir: &std::path::Path, script: &str) -> Output {
    let may = Command::new("unshare").args(["--mount", "mount", "--make-rprivate", "/"]).output().is_ok_and(|ran| ran.status.success());
    let mut command = if may {
        let mut command = Command::new("unshare");
        command.args(["--mount", "bash"]);
        command
    } else {
        println!("nobody may have mounts of their own here, so nothing is installed");
        Command::new("bash")
    };
    command.args(["-c", script]).env("GATEHOUSE", env!("CARGO_BIN_EXE_gatehouse")).env("MOUNTS", if may { "yes" } else { "no" });
    command.current_dir(dir).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn certificates_for_names_under_localhost_are_made_and_trusted_by_curl() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(dir.path(), SCRIPT);
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{told}{}", String::from_utf8_lossy(&ran.stderr));
    // There is no app behind it: 502. A name without a tenant is 404, and one that is not of this machine gets no certificate.
    let expected = "acme.example.localhost 502\nshop.localhost 502\ndeep.name.localhost 404\nunknown.test 000\ncurl 60\n\
                    644 certs/dev-ca.crt\n600 certs/dev-ca.key\n644 certs/dev.crt\n600 certs/dev.key\n";
    assert_eq!(told, expected);
}

#[test]
fn nothing_is_made_for_a_base_domain_that_others_can_reach() {
    let dir = tempfile::tempdir().unwrap();
    for verb in ["trust", "run"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
        command.args([verb, "--set", "tenancy.base_domain=example.com", "--set", "tenancy.api_hosts="]).current_dir(dir.path());
        let ran = command.stdin(Stdio::null()).output().unwrap();
        let told = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(!ran.status.success() && told.contains("certs/gatehouse.crt"), "{verb}: {told}");
        assert!(!dir.path().join("certs").exists(), "{verb}");
    }
}
