//! Which part of all ids an id belongs to: the same for ever, another one for each flag, and computed alike by whoever reads the
//! README.

use aws_lc_rs::digest;

use crate::model::{Rollout, RolloutBy};

/// How many parts there are.
const PARTS: u64 = 10_000;

/// From 0 to 9,999: the first eight octets of SHA-256(flag, 0x00, key) as a big-endian number, modulo 10,000. `key` is given in
/// pieces, which are hashed one after the other.
fn bucket(flag: &str, key: &[&str]) -> u64 {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(flag.as_bytes());
    context.update(&[0]);
    key.iter().for_each(|piece| context.update(piece.as_bytes()));
    let hash = context.finish();
    let first = hash.as_ref().iter().take(8).fold(0, |number, octet| (number << 8) | u64::from(*octet));
    first % PARTS
}

/// Whether a roll-out has come to the tenant, or to this user of it; to nobody in particular one by user never has. More of a
/// roll-out takes nobody out.
pub(super) fn reaches(rollout: &Rollout, tenant: &str, user: Option<&str>) -> bool {
    let parts = u64::from(rollout.percentage.parts());
    match (rollout.by, user) {
        (RolloutBy::Tenant, _) => bucket(&rollout.flag, &[tenant]) < parts,
        (RolloutBy::User, Some(user)) => bucket(&rollout.flag, &[tenant, "/", user]) < parts,
        (RolloutBy::User, None) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::model::{Millis, Percentage, TenantId};

    fn rollout(by: RolloutBy, percentage: f64) -> Rollout {
        let percentage = Percentage::try_from(percentage).unwrap();
        Rollout { flag: "beta".to_owned(), percentage, by, plans: None, description: None, updated_at: Millis(0) }
    }

    /// Computed by Python: `int.from_bytes(hashlib.sha256(flag + b"\0" + key).digest()[:8], "big") % 10000`.
    #[test]
    fn buckets_are_those_that_others_compute() {
        const TENANT: &str = "tenant_0193a5c8f3e07b2c9d1e4f5a6b7c8d9e";
        for (flag, key, expected) in [
            ("beta", &[TENANT][..], 1774),
            ("betb", &[TENANT], 2848),
            ("advancedAnalytics", &[TENANT], 5661),
            ("beta", &[TENANT, "/", "u1"], 8390),
            ("beta", &[TENANT, "/", "ü 😀"], 7149),
            ("a", &[""], 6068),
        ] {
            assert_eq!(bucket(flag, key), expected, "{flag} {key:?}");
        }
    }

    #[test]
    fn more_of_a_roll_out_takes_nobody_out_and_a_part_of_all_is_about_that_part() {
        let tenants: Vec<String> = (0..10_000).map(|at| TenantId::new(Millis(at)).to_string()).collect();
        for by in [RolloutBy::Tenant, RolloutBy::User] {
            let reached = |percentage| {
                let rollout = rollout(by, percentage);
                tenants.iter().map(|tenant| reaches(&rollout, tenant, Some("u1"))).collect::<Vec<bool>>()
            };
            let mut before = reached(0.0);
            assert!(!before.contains(&true));
            for percentage in [0.01, 1.0, 10.0, 12.34, 50.0, 99.0, 100.0] {
                let now = reached(percentage);
                assert!(before.iter().zip(&now).all(|(before, now)| *now || !*before), "{percentage} % keeps everybody");
                let (count, expected) = (now.iter().filter(|on| **on).count() as f64, percentage * 100.0);
                // Five standard deviations of a binomial distribution.
                let most = 5.0 * (expected * (1.0 - percentage / 100.0)).sqrt();
                assert!((count - expected).abs() <= most, "{count} of 10,000 at {percentage} %");
                before = now;
            }
            assert!(!before.contains(&false));
        }
        assert!(!reaches(&rollout(RolloutBy::User, 100.0), &tenants[0], None), "by user it is off for nobody in particular");
    }
}
