use super::*;

#[test]
fn a_subject_is_doubtful_until_it_is_denied_or_has_passed_twice() {
    let mut permissions = Permissions::default();
    let [yes, no]: [Arc<str>; 2] = ["yes".into(), "no".into()];
    for _ in 0..2 {
        assert!(permissions.is_doubtful(&yes) && permissions.is_doubtful(&no));
        // At once it counts once.
        permissions.passed([&yes, &no, &yes, &yes].into_iter());
        permissions.deny(&no);
        permissions.passed([&no].into_iter());
        permissions.denied.clear();
    }
    assert!(!permissions.is_doubtful(&yes) && permissions.is_doubtful(&no));
    for subject in [&yes, &no] {
        permissions.deny(subject);
        assert!(permissions.is_denied(subject) && !permissions.is_doubtful(subject));
    }
}

#[test]
fn there_is_an_end_to_what_is_known() {
    let mut permissions = Permissions::default();
    for number in 0..=MAX_SUBJECTS {
        permissions.deny(&number.to_string());
        permissions.passed([&format!("other {number}").into()].into_iter());
    }
    assert!(permissions.denied.len() <= MAX_SUBJECTS && permissions.passed.len() <= MAX_SUBJECTS);
}
