//! Signatures agree with the official library, both ways.

use std::process::Command;

use gatehouse::billing::payments::webhook::{sign, verify};
use gatehouse::clock::{Clock, SystemClock};
use secrecy::SecretString;
use serde_json::json;

use crate::support::peers::{python, run};
use crate::support::stripe::{SECRET, event, signature};

const CONSTRUCT: &str = "import sys, stripe; print(stripe.Webhook.construct_event(*sys.argv[1:]).id)";
const SIGN: &str = "import sys, time, stripe; t = int(time.time()); \
                    print(f't={t},v1=' + stripe.WebhookSignature._compute_signature(f'{t}.{sys.argv[1]}', sys.argv[2]))";

#[test]
fn the_official_library_takes_our_signatures_and_we_take_its() {
    let python = python(&["stripe==16.1.0"]);
    let call = |code: &str, arguments: &[&str]| {
        let mut command = Command::new(&python);
        command.args(["-c", code]).args(arguments);
        command
    };
    let body = event("evt_1", "payment_intent.succeeded", &json!({"id": "pi_1", "object": "payment_intent", "description": "Größe ✓"}));
    assert_eq!(run(&mut call(CONSTRUCT, &[&body, &signature(&body), SECRET])).trim(), "evt_1");
    let forged = sign(&SecretString::from("whsec_other"), body.as_bytes(), SystemClock.now());
    assert!(!call(CONSTRUCT, &[&body, &forged, SECRET]).output().unwrap().status.success());

    let theirs = run(&mut call(SIGN, &[&body, SECRET]));
    let event = verify(&SecretString::from(SECRET), theirs.trim(), body.as_bytes(), SystemClock.now()).unwrap();
    assert_eq!((event.id.as_str(), event.object.as_str()), ("evt_1", "pi_1"));
    let theirs = run(&mut call(SIGN, &[&body, "whsec_other"]));
    assert!(verify(&SecretString::from(SECRET), theirs.trim(), body.as_bytes(), SystemClock.now()).is_err());
}
