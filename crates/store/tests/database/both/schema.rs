//! The steps of the schema, as the command line shows them.

use sqlx::raw_sql;
use store::{MasterKey, StoreError};

#[tokio::test]
async fn a_database_says_which_steps_it_has() {
    let fixture = super::open().await;
    let steps = fixture.location().migrations().await.unwrap();
    assert!(!steps.is_empty() && steps.iter().all(|step| step.applied && step.name.is_some()), "{steps:?}");
    assert!(steps.is_sorted_by_key(|step| step.number));
    fixture.location().migrate().await.unwrap();
    assert_eq!(fixture.location().migrations().await.unwrap(), steps);
}

#[tokio::test]
async fn a_step_of_a_newer_program_is_named_and_stops_an_older_one() {
    let fixture = super::open().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 12";
    raw_sql(newer).execute(&mut fixture.raw().await).await.unwrap();
    let steps = fixture.location().migrations().await.unwrap();
    let last = steps.last().unwrap();
    assert!((last.number, &last.name, last.applied) == (9_999, &None, true));
    assert!(matches!(fixture.location().migrate().await, Err(StoreError::Schema(_))));
    let opened = fixture.reopen(&MasterKey::generate().unwrap()).await;
    assert!(matches!(opened, Err(StoreError::Schema(_))));
}
