//! Passkeys: signing in with one, and those of an account.

use crate::console::messages::messages;

messages! {
    title: "Passkeys", "通行密钥";
    intro: "A passkey opens the console with the lock of your phone, computer or security key: no password to type, nothing to be phished. It counts as both factors.", "通行密钥使用手机、电脑或安全密钥的锁来打开控制台：无需输入密码，也无法被钓鱼。它同时算作两个验证因素。";
    manage: "Manage", "管理";
    sign_in: "Sign in with a passkey", "使用通行密钥登录";
    or: "or", "或";
    wrong: "That passkey does not open an account here. Sign in with the password instead.", "该通行密钥无法打开这里的账户，请改用密码登录。";
    stopped: "No passkey was given. Try again, or sign in with the password.", "未提供通行密钥。请重试，或使用密码登录。";
    not_made: "No passkey was made. Your device may have one for this account already, or it was stopped.", "未创建通行密钥。您的设备可能已有此账户的通行密钥，或操作已被取消。";
    unsupported: "This browser knows no passkeys.", "此浏览器不支持通行密钥。";
    script: "Passkeys need JavaScript.", "通行密钥需要 JavaScript。";
    elsewhere: "Passkeys work only over https with a name, or on localhost, and this page is neither. An administrator sets public_url to the https address that people use.", "通行密钥仅在使用域名的 https 地址或 localhost 上可用，而当前页面都不是。管理员需将 public_url 设置为用户使用的 https 地址。";
    confirm: "First, is it you?", "请先确认身份";
    confirm_hint: "You signed in a while ago. Passkeys are added and removed only with a fresh proof of who you are; it lasts 10 minutes.", "您登录已有一段时间。添加或移除通行密钥需要重新确认身份，有效期 10 分钟。";
    go_on: "Go on", "继续";
    password_wrong: "The password is not right.", "密码不正确。";
    add: "Add a passkey", "添加通行密钥";
    add_hint: "A name to know it by, such as the device. Your browser then asks for its lock.", "起一个便于识别的名称，例如设备名。浏览器随后会要求解锁。";
    example: "My laptop", "我的笔记本电脑";
    none: "No passkeys yet", "还没有通行密钥";
    none_hint: "Add one for each device that you sign in with.", "为每台用来登录的设备各添加一个。";
    never_used: "not yet", "尚未使用";
    synced: "synced", "已同步";
    one_device: "on one device", "仅在一台设备上";
    remove: "Remove", "移除";
    remove_sure: "It opens nothing any more. Your device may keep its half; delete it there too.", "它将不再能打开任何账户。您的设备可能仍保留其一半，请在设备上一并删除。";
    added: "The passkey is added.", "通行密钥已添加。";
    removed: "The passkey is removed.", "通行密钥已移除。";
    remove_all: "Remove all passkeys", "移除所有通行密钥";
    remove_all_hint: "For somebody who has lost a device, or whose account somebody else has used. Passkeys of the account:", "用于丢失设备或账户被他人使用的情况。该账户的通行密钥数：";
}
