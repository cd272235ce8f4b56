//! What is deleted, or sealed anew, is gone from the files too.

use crate::fixture::{Fixture, at};
use model::key::Settings;
use store::MasterKey;

/// Everything that is sealed or wrapped, as it stands in the database.
async fn ciphertexts(fixture: &Fixture) -> Vec<Vec<u8>> {
    sqlx::query_scalar("SELECT sealed FROM api_key UNION ALL SELECT wrapped FROM data_key")
        .fetch_all(&mut fixture.raw().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_deleted_key_leaves_no_sealed_text_behind() {
    let fixture = super::open().await;
    let account = fixture.account("ada", None).await.id;
    let key = fixture.key(account, 1, 5, Settings::default()).await.key.id;
    let sealed: Vec<u8> =
        sqlx::query_scalar("SELECT sealed FROM api_key").fetch_one(&mut fixture.raw().await).await.unwrap();
    assert!(fixture.contents().await.has(&sealed), "it must be found before, or this proves nothing");
    assert_eq!(fixture.store.delete_keys(account, &[key], at(2)).await.unwrap(), 1);
    fixture.store.close().await;
    assert!(!fixture.contents().await.has(&sealed));
}

#[tokio::test]
async fn a_rotation_leaves_nothing_behind_that_the_old_master_key_opens() {
    let fixture = super::open().await;
    let account = fixture.account("ada", None).await.id;
    for seed in 1..=40 {
        fixture.key(account, seed, 5, Settings::default()).await;
    }
    let before = ciphertexts(&fixture).await;
    let contents = fixture.contents().await;
    assert!(before.iter().all(|one| contents.has(one)));
    assert_eq!(fixture.store.reseal(&MasterKey::generate().unwrap()).await.unwrap(), 40);
    fixture.store.close().await;
    let contents = fixture.contents().await;
    assert!(before.iter().all(|one| !contents.has(one)));
}
