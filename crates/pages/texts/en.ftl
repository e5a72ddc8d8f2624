## Frame

page-title = { $task } – { $brand }
page-title-error = Error: { $task } – { $brand }
problem-title = There is a problem
problem-prefix = Error:
date = { $day }{ "\u00A0" }{ $month }{ "\u00A0" }{ $year }
moment = { $day }, { $time } UTC
month-1 = January
month-2 = February
month-3 = March
month-4 = April
month-5 = May
month-6 = June
month-7 = July
month-8 = August
month-9 = September
month-10 = October
month-11 = November
month-12 = December

## Who runs this site

operator-terms = Terms of service
operator-privacy = Privacy policy
operator-help = Help
operator-imprint = Imprint
operator-contact = Contact
operator-reach = You can reach them at { $contact }.

## Sign-in

login-title = Sign in
login-continue = to continue to { $app }
login-confirm-title = Confirm it's you
login-confirm-continue = Sign in again to continue to { $app }
login-confirm-alone = Sign in again to continue
login-confirm-export = Sign in again to download your data
login-another-account = What you opened is for another account. Sign in to that one.
login-back = Back to your account
login-username = Email
login-password = Password
login-remember = Keep me signed in on this device
login-remember-hint = Don't use this on a shared computer.
login-submit = Sign in
login-cancel = Cancel
login-not-you = Not { $name }?
login-switch = Use another account
login-wrong = That email or password isn't right. Check both and try again.
login-wrong-password = That password isn't right. Try again.
login-username-missing = Enter your email
login-password-missing = Enter your password
login-busy = We're busy just now. Wait a few seconds, then sign in again.
login-forgot = Forgot your password?
login-new = New here?
login-create = Create an account
login-network-minute = Too many sign-ins from your network have failed. Try again in a minute.
login-network-minutes = Too many sign-ins from your network have failed. Try again in { $n } minutes.
login-account-minute = Too many sign-ins with this email have failed. Try again in a minute, or reset your password.
login-account-minutes = Too many sign-ins with this email have failed. Try again in { $n } minutes, or reset your password.
login-account-wait-minute = Too many sign-ins with this email have failed. Try again in a minute.
login-account-wait-minutes = Too many sign-ins with this email have failed. Try again in { $n } minutes.

choose-title = Choose an account
choose-remove = Remove from this browser

## A new password

recover-title = Forgot your password?
recover-lead = We'll email you a link to set a new one.
recover-email = Email
recover-submit = Send link
recover-back = Back to sign in
recover-email-missing = Enter your email
recover-email-odd = Enter an email address, like name@example.com
recover-too-many = Too many links were asked for. Use the newest one in your mailbox, or try again later.
recover-none = This site doesn't send email, so it can't send you a link.
recover-none-do = Ask the people who run it for a new password.
recover-sent-title = Check your email
recover-sent = If there's an account for { $email }, we've sent a link to set a new password.
recover-sent-somewhere = If there's an account for the address you gave, we've sent a link to set a new password.
recover-sent-do = It works once, for 30 minutes. If nothing comes, look among unwanted mail.
recover-again = Send another link
recover-other = Use another email
password-show = Show password
password-show-current = Show current password
password-show-new = Show new password
password-title = Set a new password
password-for = For { $email }
password-label = New password
password-hint = Use 8 characters or more. A few words that don't belong together are easy to remember and hard to guess.
password-ends = This signs you out everywhere and disconnects all apps from your account.
password-submit = Set password
password-missing = Enter a new password
password-too-short = Use 8 characters or more
password-too-long = Use 256 characters or fewer
password-control = Use only characters that can be typed
password-common = Many people have this password, so it's tried first. Add another word or two.
password-similar = Many people have a password like this. Add another word or two.
password-about-you = Your name, your email and the name of this site are tried first. Use other words.
password-keys = Keys next to each other are easy to guess. Use a few words instead.
password-repeats = Repeats are easy to guess. Add another word or two.
password-sequence = Characters that follow one another, like abc or 6543, are easy to guess. Add another word or two.
password-date = Dates and years are easy to guess. Add another word or two.
password-one-word = One word is easy to guess. Add another word or two.
password-name = A name is easy to guess. Add another word or two.
password-simple = This is easy to guess. Add another word or two.
password-breached = This password is in a list that was stolen somewhere, so it's tried first. Use another one, and change it where you have it.
password-busy = We're busy just now. Wait a few seconds, then try again.
password-unjudged = New passwords can't be checked at the moment, so none can be set. The people who run this site have to mend that: tell them, or come back later.
take-back-title = Take your account back
take-back-for = The account that had the address { $email }
take-back-about = Its address was changed. It will be { $email } again, with the password that you set here.
take-back-submit = Take it back
password-done-title = Your new password is set
password-done = You're signed out everywhere, and all apps are disconnected.
password-done-app = Sign in with your new password to continue to { $app }.
password-done-alone = Sign in with it here. If you were on your way to an app in another browser, go back there.

## A new account

sign-up-title = Create an account
sign-up-continue = to continue to { $app }
sign-up-lead = We'll email you a link to go on.
sign-up-email = Email
sign-up-submit = Send link
sign-up-known-already = Already have an account?
sign-up-sign-in = Sign in
sign-up-too-many = Too many links were asked for. Use the newest one in your mailbox, or try again later.
sign-up-sent = We've sent an email to { $email }. Open the link in it to go on.
sign-up-sent-somewhere = We've sent an email to the address you gave. Open the link in it to go on.
sign-up-sent-do = It works once, for 30 minutes. If nothing comes, look among unwanted mail.
sign-up-again = Send another email
sign-up-other = Use another email
sign-up-account-title = Create your account
sign-up-name = Your name (optional)
sign-up-name-odd = Use at most 256 characters that can be typed
sign-up-password = Password
sign-up-password-missing = Enter a password
sign-up-busy = We're busy just now. Wait a few seconds, then try again.
sign-up-account-submit = Create account
sign-up-closed-title = You can't create an account here
sign-up-closed = The people who run this site make the accounts. Ask them for one.
sign-up-invitation-title = You need an invitation
sign-up-invitation = Accounts here are made by invitation. Open the link in yours, or ask the people who run this site for one.
sign-up-known-title = You already have an account
sign-up-known = Your email belongs to an account. Sign in with it, or set a new password if you forgot yours.
sign-up-expired = A link works for 30 minutes. No account was made with this one.
sign-up-used = An account was made with it. Sign in with your email and your password.
sign-up-done-title = Your account is ready
sign-up-done = Sign in with your email and your password. If you were on your way to an app in another browser, go back there.
sign-up-reset = Set a new password
sign-up-link-new = Get another link
invitation-expired-title = This invitation has expired
invitation-expired = An invitation works for 7 days. Ask the people who run this site for another.
invitation-withdrawn-title = This invitation was taken back
invitation-withdrawn = The people who run this site took it back. If you still want an account, ask them.

## Confirming an address

verify-title = Confirm your email
verify-ask = Confirm that { $email } is your address.
verify-else = If you weren't asked to, close this page. Nothing changes.
verify-submit = Confirm email
verify-done-title = Your email is confirmed
verify-done = You can close this page.
verify-sent = We've sent a new link to your address. It works once, for 30 minutes.

## Links that don't work

link-expired-title = This link has expired
link-expired = A link works for 30 minutes. Nothing was changed.
link-used-title = This link no longer works
link-used = It was used already, or your password or email has changed since it was sent.
link-disabled-title = This account is turned off
link-disabled = Nothing was changed. Ask the people who run this site to turn it on again.
link-foreign-title = We don't know this link
link-foreign = Open it from the email again, or copy all of it. A link that is older than a week is forgotten.
link-new = Get another link
link-send = Send another link
link-too-many = Too many links were asked for. Use the newest one in your mailbox, or try again later.

## Your account

own-title = Your account
own-go = Go to your account
own-lead = Who you are here, and everything about it
own-nav = Your account
own-skip = Skip to content
own-not-you = Not you? Use another account
own-whose = Account of { $email }. Not you?
own-switch-title = Switch account
own-switch-lead = Other accounts on this browser
own-switch-now = You're looking at
own-switch-others = Also signed in on this browser

profile-title = Profile
profile-about = Your name, email and more
profile-lead = Apps see of this only what you allow them to.
profile-done = Saved.
devices-ended = That device is signed out.
devices-others-ended = You're signed out everywhere else.
apps-removed = The app no longer has access to your account.
profile-changed = Your profile was changed while this page was open, so nothing was saved. This is what it says now.
profile-submit = Save
profile-unverified = Not confirmed yet
profile-hint-birthdate = For example 1990-12-31
profile-hint-website = For example https://example.com
profile-hint-zoneinfo = For example Europe/Paris
profile-hint-locale = For example en-GB
profile-odd-birthdate = Enter a date like 1990-12-31
profile-odd-website = Enter an address that begins with https://
profile-odd-zoneinfo = Enter a time zone like Europe/Paris
profile-odd-locale = Enter a language like en-GB
profile-odd = { $claim }: use at most 256 characters that can be typed
email-change-title = Change your email
email-now = Your address is { $email }
email-new = New email
email-missing = Enter your new email
email-same = This is your address already
email-other = Use another email
email-how = We'll send a link to the new address. Nothing changes before you open it.
email-sent = We've sent a link to { $email }. Open it in this browser to make the change.
email-sent-do = It works once, for 30 minutes. If nothing comes, look among unwanted mail, or check the address.
email-again = Get another link
email-changed = Your email is changed. You're signed out everywhere else.
email-unavailable = This site doesn't send email, so your address can't be changed here. Ask the people who run it.
email-confirm-title = Confirm your new email
email-confirm = Use { $new } in place of { $old }?
email-confirm-former = We'll tell { $old }. For up to 72 hours, whoever reads its mail can take the account back.
email-confirm-submit = Use new email
email-taken = This address can't be used. Nothing was changed.

change-title = Password
change-lead = Set a new password
change-current = Current password
change-current-missing = Enter your current password
change-too-often = Your password was changed many times just now. Try again later.
delete-too-often = This was asked for many times just now. Try again later.
change-too-many-minute = Too many passwords were tried. Try again in a minute.
change-too-many-minutes = Too many passwords were tried. Try again in { $n } minutes.
change-apps = Disconnect apps as well
change-apps-hint = Do this if someone else may have used your account. You'll sign in to your apps again.
change-ends = This signs you out everywhere else.
change-submit = Set new password
change-done = Your new password is set. You're signed out everywhere else.

devices-label = Devices
devices-title = Where you're signed in
devices-lead = Browsers and devices that are signed in to your account. Sign out any that you don't know.
devices-this = This device
devices-since = Signed in on { $day }
devices-apps = Used for
devices-rename = Rename
devices-name = Name
devices-name-hint = Only you see it. Leave it empty to go back to the name of the browser.
devices-name-odd = Use at most 60 characters that can be seen
devices-others = Sign out everywhere else
device-browser-on = { $browser } on { $system }
device-unknown = Unknown device
ago-now = Active now
ago-just-now = Just now
ago-minutes = { $n } minutes ago
ago-hour = An hour ago
ago-hours = { $n } hours ago
ago-day = Yesterday
ago-days = { $n } days ago

apps-label = Apps
apps-title = Connected apps
apps-lead = Apps and sites that you allowed to use your account
apps-none = No app uses your account. When you sign in to one with it, it's listed here.
apps-unverified = We haven't checked this app
apps-since = Allowed on { $day }
apps-last-used = Last used on { $day }
apps-profile = See your name and profile
apps-email = See your email address
apps-phone = See your phone number
apps-address = See your postal address
apps-claim = See a detail of yours: { $claim }
app-title = Connected app
app-may = { $app } may:
app-remove-title = Remove access
app-remove-lead = { $app } is signed out and can't use your account any more. To use it again, you sign in and allow it again.
app-remove = Remove access
app-report = Report this app

activity-label = Activity
activity-title = Security activity
activity-lead = Sign-ins and changes of the last 90 days
activity-about = What happened with your account in the last 90 days, the newest first.
activity-none = Nothing yet.
activity-older = Older
activity-newest = Newest
activity-from = from { $address }
activity-do = Something here that wasn't you?
activity-former-app = an app that isn't here any more
activity-signed-in = Signed in
activity-failed = Wrong password, { $n } times
activity-failed-once = Wrong password
activity-signed-out = Signed out on one device
activity-signed-out-elsewhere = Signed out everywhere else
activity-allowed = Allowed access to { $app }
activity-removed = Removed access for { $app }
activity-ended = Access for { $app } ended
activity-created = Account created
activity-updated = Account changed by the people who run this site
activity-disabled = Account turned off
activity-enabled = Account turned on
activity-revoked = Signed out everywhere, all apps disconnected
activity-link = Link sent by email
activity-recovered = New password set by a link
activity-password = Password changed
activity-verified = Email confirmed
activity-email = Email changed
activity-email-restored = Account taken back by its former email
activity-profile = Profile changed
activity-exported = Copy of your data downloaded
activity-deletion = Deletion of the account asked for
activity-undone = Deletion of the account undone

data-label = Data
data-title = Your data
data-lead = Download a copy, or delete your account
export-title = Download your data
export-about = One file with your profile, where you're signed in, your apps and what happened with your account. No password is in it.
export-submit = Download
export-too-many = You've downloaded your data several times. Try again in an hour.
delete-title = Delete account
delete-lead = You have 14 days to change your mind.
delete-effects = What happens
delete-now = You're signed out everywhere at once, and no app can use your account.
delete-then = On { $day } your account and everything in it is deleted. That can't be undone. What remains for about a year is a record of what happened, without your name and email.
delete-apps = Apps keep what they have of you. Ask them to delete it.
delete-undo = Until then, sign in once to keep your account.
delete-type = To confirm, type { $email }
delete-wrong = That isn't the address of this account
delete-stay = Keep my account
deleted-title = Your account will be deleted
deleted = You're signed out everywhere, and no app can use your account.
deleted-told = We've emailed you.
deleted-undo = Changed your mind? Sign in within 14 days to keep it.

claim-name = Full name
claim-given-name = First name
claim-family-name = Last name
claim-middle-name = Middle name
claim-nickname = Nickname
claim-preferred-username = Username you prefer
claim-profile = Profile page
claim-picture = Picture
claim-website = Website
claim-gender = Gender
claim-birthdate = Date of birth
claim-zoneinfo = Time zone
claim-locale = Language
claim-updated-at = When your profile was last changed
claim-email = Email
claim-email-verified = Whether your email is confirmed
claim-address = Postal address
claim-phone-number = Phone number
claim-phone-number-verified = Whether your phone number is confirmed

## Mails

mail-changed = Your { $brand } password was changed on { $time }.
mail-changed-all = You're signed out everywhere else, and all apps are disconnected.
mail-changed-apps-kept = You're signed out everywhere else. Apps stay connected.
mail-address = Open this link, where you're signed in to { $brand }, to make this the address of your account:
mail-moved-subject = Your { $brand } email was changed
mail-moved = On { $time } the address of your { $brand } account was changed. This one doesn't belong to it any more.
mail-moved-stranger = If it wasn't you, someone got into your account. Write to the people who run { $brand } at once.
mail-moved-back = If it wasn't you, someone got into your account. Until { $until } you can take it back: open this page, and enter this address there.
mail-moved-own = If it was you, there's nothing to do.
mail-take-back-subject = Take your { $brand } account back
mail-take-back = This was the address of a { $brand } account until it was changed. Someone asks to take that account back. If it was you, open this link:
mail-take-back-ignore = If it wasn't you, ignore this email. The account stays as it is.
mail-taken-back-subject = Your { $brand } account is yours again
mail-taken-back = On { $time } your { $brand } account was given this address back, and a new password, by a link that we sent here.
mail-taken-from = On { $time } the { $brand } account with this address was taken back, by the address that it had before. This one doesn't belong to it any more.
mail-taken-from-stranger = If that address isn't yours, write to the people who run { $brand } at once.
mail-exported-subject = A copy of your { $brand } data was downloaded
mail-exported = On { $time } a copy of everything in your { $brand } account was downloaded.
mail-deletion-subject = Your { $brand } account will be deleted
mail-deletion = On { $time } the deletion of your { $brand } account was asked for. You're signed out everywhere, and no app can use it.
mail-deletion-undo = To keep it, sign in to { $brand } before { $day }. From then on it can't be restored.
mail-undone-subject = Your { $brand } account stays
mail-undone = On { $time } someone signed in to your { $brand } account, or set a new password for it. So it won't be deleted.
mail-elsewhere-subject = You were signed out of { $brand } everywhere else
mail-elsewhere-stranger = If it wasn't you, someone got into your account. Set a new password now: choose "Forgot your password?" where you sign in to { $brand }.
mail-elsewhere = On { $time } you were signed out of { $brand } on every device but the one where that was asked for.
mail-signed-in-subject = New sign-in to your { $brand } account
mail-signed-in = On { $time } someone signed in to your { $brand } account in a browser that wasn't used for it before.
mail-signed-in-device = Device: { $device }
mail-signed-in-app = App: { $app }
mail-signed-in-own = If it was you, there's nothing to do.
mail-signed-in-stranger = If it wasn't you, someone knows your password. Set a new one now:
mail-signed-in-ends = A new password signs everyone out of your account, on every device, and disconnects all apps.
mail-notice-stranger = If it wasn't you, someone knows your password. Set a new one now: choose "Forgot your password?" where you sign in to { $brand }.

mail-recover-subject = Set a new password for { $brand }
mail-recover = Someone asked to set a new password for your { $brand } account. If it was you, open this link:
mail-recover-ignore = If it wasn't you, ignore this email. Your password stays as it is.
mail-link-life = The link works once, for 30 minutes.
mail-sign-up-subject = Create your { $brand } account
mail-sign-up = Someone asked to create a { $brand } account with this address. If it was you, open this link:
mail-sign-up-former = A { $brand } account had this address until a moment ago. If someone else changed it, you can have that account back: choose "Forgot your password?" where you sign in, and enter this address. Once you have another account with it, that isn't possible any more.
mail-sign-up-ignore = If it wasn't you, ignore this email. No account is made.
mail-known-subject = You already have a { $brand } account
mail-known = Someone asked to create a { $brand } account with this address, which has one already. If it was you, sign in:
mail-known-disabled = Someone asked to create a { $brand } account with this address, which has one already. It is turned off. If it was you, ask the people who run { $brand } to turn it on again.
mail-known-ignore = If it wasn't you, ignore this email. Nothing was changed.
mail-known-forgot = If you forgot your password, set a new one:
mail-leaving-subject = Your { $brand } account is being deleted
mail-leaving = Someone asked to create a { $brand } account with this address. The account that has it is being deleted, as was asked for, and can't be had back. In some hours you can create another one.
mail-app-subject = An app can use your { $brand } account
mail-app = On { $time } an app was allowed to use your { $brand } account, also when you're not there.
mail-app-unnamed = It is one that the people who run { $brand } don't vouch for.
mail-app-own = If it was you, there's nothing to do.
mail-app-stranger = If it wasn't you, remove its access:
mail-removed-subject = An app was disconnected from your { $brand } account
mail-removed = On { $time } the access of an app to your { $brand } account was removed.
mail-operator-password = On { $time } the people who run { $brand } gave your account another password. You're signed out everywhere.
mail-operator-address-set = On { $time } the people who run { $brand } made this the address of your account. You're signed out everywhere.
mail-operator-address-taken = On { $time } the people who run { $brand } gave your account another address. This one doesn't belong to it any more.
mail-disabled-subject = Your { $brand } account was turned off
mail-operator-disabled = On { $time } the people who run { $brand } turned your account off. You're signed out everywhere, and no app can use it.
mail-enabled-subject = Your { $brand } account was turned on
mail-operator-enabled = On { $time } the people who run { $brand } turned your account on again. You can sign in.
mail-revoked-subject = You were signed out of { $brand } everywhere
mail-operator-revoked = On { $time } the people who run { $brand } signed you out everywhere and disconnected all apps from your account.
mail-operator-why = If you don't know why, ask them.
mail-invite-subject = You're invited to { $brand }
mail-invite = You're invited to create a { $brand } account. Open this link:
mail-invite-life = The link works once, for 7 days.
mail-invite-ignore = If you don't want an account, ignore this email.
mail-verify-subject = Confirm your email for { $brand }
mail-verify = Open this link to confirm that this is the address of your { $brand } account:
mail-verify-ignore = If you have no such account, ignore this email.
mail-recovered-subject = Your { $brand } password was changed
mail-recovered = Your { $brand } password was changed on { $time }, by a link that we sent to this address.
mail-recovered-ended = You're signed out everywhere, and all apps are disconnected.
mail-recovered-stranger = If it wasn't you, someone can read your email. Make your mailbox safe first, then set a new password.

## What would have been mailed, in development

mailbox-title = Mailbox
mailbox-lead = What would have been mailed. This page is only in development mode.
mailbox-none = Nothing yet. A mail takes about a second; then reload this page.
mailbox-to = To { $email }
mailbox-html = As HTML

## What an app says of itself

app-policy = Privacy policy at { $host }
app-terms = Terms of service at { $host }

## Consent

consent-task = Allow access
consent-title = { $app } wants to use your { $brand } account
consent-goes-to = You'll go to { $host }
consent-goes-to-app = You'll go back to the app { $scheme }
consent-name-claimed = Name set by the app at { $host }
consent-unverified = We haven't checked this app. It registered itself.
consent-this-computer = This gives access to a program on this computer. Only continue if you just started it.
consent-account = Your account
consent-lets = This lets { $app }:
consent-new = New
consent-already = Already allowed
consent-at-api = At { $api }
consent-openid = Know it's you when you sign in
consent-profile = See your name and profile: { $name }
consent-profile-empty = See your name and profile. You haven't added a name.
consent-email = See your email address: { $email }
consent-email-empty = See your email address. You haven't added one.
consent-address = See your postal address: { $address }
consent-address-empty = See your postal address. You haven't added one.
consent-phone = See your phone number: { $phone }
consent-phone-empty = See your phone number. You haven't added one.
consent-offline = Keep this access when you're not using the app, until you remove it.
consent-claim-empty = you haven't added it
consent-claim-name = See your full name: { $value }
consent-claim-given-name = See your first name: { $value }
consent-claim-family-name = See your last name: { $value }
consent-claim-middle-name = See your middle name: { $value }
consent-claim-nickname = See your nickname: { $value }
consent-claim-preferred-username = See the username you prefer: { $value }
consent-claim-profile = See the address of your profile page: { $value }
consent-claim-picture = See your picture: { $value }
consent-claim-website = See the address of your website: { $value }
consent-claim-gender = See your gender: { $value }
consent-claim-birthdate = See your date of birth: { $value }
consent-claim-zoneinfo = See your time zone: { $value }
consent-claim-locale = See your language: { $value }
consent-claim-updated-at = See when your profile was last changed
consent-claim-email = See your email address: { $value }
consent-claim-email-verified = See whether your email address is confirmed
consent-claim-address = See your postal address: { $value }
consent-claim-phone-number = See your phone number: { $value }
consent-claim-phone-number-verified = See whether your phone number is confirmed
consent-no-policy = This app hasn't published a privacy policy.
consent-later = If { $app } asks for more later, we'll ask you again.
consent-remove = You can remove its access at any time, under Connected apps in your account.
consent-allow = Allow
consent-deny = Don't allow

## Back to the app by a form

form-post-title = Back to the app
form-post-do = You're going back to { $app }. If nothing happens, press Continue.
form-post-continue = Continue

## Before leaving for an app that nobody checked

leave-task = Leave for the app
leave-title = Go back to { $app }?
leave-nothing-shared = You can close this page instead. Nothing was shared with the app.

## Logout

logout-title = Sign out of { $brand }?
logout-asked = { $app } sent you here to sign out.
logout-accounts = These accounts will all be signed out on this browser
logout-confirm = Sign out
logout-stay = Stay signed in
logout-then = Afterwards you'll go to { $host }
logout-then-app = Afterwards you'll go back to the app { $scheme }
logout-stayed-title = Still signed in
logout-stayed = You're still signed in to { $brand }. Nothing was changed.
logout-go = Go to { $host }
logout-go-app = Go back to the app { $scheme }
signed-out-title = Signed out
signed-out = You're signed out of { $brand }.
signed-out-others = Other accounts are still signed in on this browser.
signed-out-frame = Signs you out of an app
signed-out-apps = Apps you used may still have you signed in. On a shared computer, sign out there too.

## What goes wrong

error-rejected-title = Request rejected
error-rejected = The app sent us a request we can't accept, so we stopped here. Nothing was shared with it.
error-rejected-do = Go back to the app and try again. If it happens again, give the details below to the people who run it.
error-unconfirmed = We couldn't confirm that this came from a page of ours in this browser. Nothing was changed.
error-unconfirmed-do = Go back, reload the page and try again. Cookies need to be on for this site.
error-expired-title = This sign-in request has expired
error-expired-do = Go back to the app and start again.
error-completed-title = Already completed
error-completed = You already answered this request.
error-completed-do = Go back to the app. If you aren't signed in there, start again.
error-not-found-title = Page not found
error-not-found-do = Check the address, or go back to where you came from.
error-odd-title = That didn't work
error-odd = What came from your browser isn't what this page asks for. Nothing was changed.
error-odd-do = Go back, reload the page and try again.
error-many-title = Too many requests
error-many = More came in a short time than we take. Nothing was changed.
error-many-do = Wait a minute, then try again.
error-code = Error code
error-request-id = Request ID
error-time = Time
error-developers = For developers
error-description = Description
error-copy = Copy
error-copied = Copied

## What error codes mean, for developers

errors-title = What errors mean
errors-lead = For developers of apps: what each error of this server means, and what to change.
errors-codes = Error codes
errors-pages = Pages
errors-pages-lead = When a request can't be answered to the app, the person sees a page of ours, and a program that asks for JSON gets a problem document (RFC 9457) whose type is one of these.
errors-source = Specified in { $source }.
errors-about = What this error means
code-invalid-request = The request lacks a parameter, has one twice, or has one with a value that can't be right.
code-invalid-request-do = Read error_description: it names the parameter. Where a person sees the page "Request rejected", most often the client_id is unknown here or the redirect_uri isn't registered for it, character by character.
code-invalid-client = We couldn't tell that it's this client who asks.
code-invalid-client-do = Check client_id and client_secret, and that the client uses the method that it's registered with (token_endpoint_auth_method). In HTTP Basic, both are form-encoded first (RFC 6749 §2.3.1).
code-invalid-grant = The authorization code or refresh token isn't good, or not any more.
code-invalid-grant-do = A code works once, for 60 seconds, for the client, the redirect_uri and the code_verifier that belong to it. A refresh token ends when it's used again after its successor, when access is removed, or with time: send the person through the authorization endpoint again.
code-unauthorized-client = This client isn't registered for what it asks.
code-unauthorized-client-do = Register the response type or grant type (response_types, grant_types), or ask for one that the client has.
code-unsupported-grant-type = The token endpoint doesn't know this grant_type.
code-unsupported-grant-type-do = Use one of grant_types_supported in our metadata.
code-unsupported-response-type = The authorization endpoint doesn't answer with this response_type.
code-unsupported-response-type-do = Use one of response_types_supported in our metadata. For nearly every app that's code.
code-invalid-scope = None of the scopes that were asked for can be given.
code-invalid-scope-do = Ask for scopes of scopes_supported in our metadata, or those of the API named by resource. On a refresh, ask for no more than was granted.
code-invalid-target = The resource isn't an API that we issue tokens for, or not together with the others.
code-invalid-target-do = Use the identifier that the API is registered with, and ask for APIs with different signing algorithms one at a time.
code-access-denied = The person said no, or what the request makes essential can't be given.
code-access-denied-do = Where they said no, nothing is wrong: let them go on without, or offer to try again. Otherwise error_description says what can't be given.
code-server-error = Something failed on our side.
code-server-error-do = Try again later. If it stays, tell the people who run this server the request ID and the time.
code-temporarily-unavailable = We're busy, or you asked more often than we take.
code-temporarily-unavailable-do = Wait as long as Retry-After says, then send the same request again.
code-login-required = With prompt=none nobody may be asked to sign in, and somebody has to.
code-login-required-do = Send the person here without prompt=none.
code-consent-required = With prompt=none nobody may be asked for consent, and it's missing.
code-consent-required-do = Send the person here without prompt=none, or ask for less.
code-interaction-required = With prompt=none no page may be shown, and one is needed.
code-interaction-required-do = Send the person here without prompt=none.
code-request-not-supported = The request object in the request parameter is unsigned (alg none).
code-request-not-supported-do = Sign it with a key or secret of the client, or send the parameters themselves.
code-request-uri-not-supported = The request object behind request_uri is unsigned (alg none).
code-request-uri-not-supported-do = Sign it with a key or secret of the client, or push the parameters themselves (RFC 9126).
code-invalid-request-uri = The request_uri is unknown, was used or has expired, or what stands there couldn't be fetched.
code-invalid-request-uri-do = Push the request again and use the new request_uri at once. One of your own has to be in the client's request_uris, and answer with a JWT within five seconds, without redirect.
code-invalid-request-object = The request object isn't signed or encrypted as it has to be, or says something that can't be right.
code-invalid-request-object-do = Check its algorithm, its key (jwks, jwks_uri), aud (our issuer), iss (the client_id) and its times. error_description says which.
code-registration-not-supported = The registration parameter isn't taken.
code-registration-not-supported-do = Register the client first, at the registration endpoint or with the people who run this server.
code-invalid-token = The access token has expired, was revoked, or isn't for this resource.
code-invalid-token-do = Get another one: by the refresh token, or by the authorization endpoint. Don't send the same again.
code-insufficient-scope = The access token is good, and not for this.
code-insufficient-scope-do = Ask for the scope that the resource needs, and let the person consent to it.
code-invalid-redirect-uri = A redirect URI of the registration can't be taken.
code-invalid-redirect-uri-do = Use https without a fragment. Native apps may use a scheme of their own, or http with 127.0.0.1, [::1] or localhost.
code-invalid-client-metadata = A member of the registration can't be taken.
code-invalid-client-metadata-do = Read error_description: it names the member and what we take.
code-unapproved-software-statement = Software statements aren't taken here.
code-unapproved-software-statement-do = Leave software_statement out, and send the members themselves.
code-stale-feed = The place in the revocation feed is of another history, perhaps because the database was restored.
code-stale-feed-do = Take the snapshot again, and go on from its number.
page-unconfirmed = A form came from elsewhere, or without the cookie that it was made for.
page-unconfirmed-do = Don't post to our pages from your own, and don't show them in a frame. Send the person to the authorization endpoint.
page-expired = What was begun is older than an hour, or was begun in another browser.
page-expired-do = Begin again: make a new authorization request. Don't keep addresses of our pages.
page-completed = This request was answered before.
page-completed-do = Look at your own answer to the first one. Each sign-in needs an authorization request of its own, with a new state.
page-not-found = There is nothing at this address.
page-not-found-do = Take addresses from our metadata, at .well-known/openid-configuration below the issuer.
page-odd = What was sent isn't what the page asks for, or not by this HTTP method.
page-odd-do = Our pages are for browsers. Programs use the endpoints in our metadata.
page-many = More requests came from this network than we take.
page-many-do = Wait as long as Retry-After says.
