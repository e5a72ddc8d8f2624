## Frame

page-title = { $task } – { $brand }
page-title-error = Error: { $task } – { $brand }
problem-title = There is a problem
problem-prefix = Error:

## Sign-in

login-title = Sign in
login-continue = to continue to { $app }
login-confirm-title = Confirm it's you
login-confirm-continue = Sign in again to continue to { $app }
login-confirm-alone = Sign in again to continue
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
login-too-many = Too many sign-ins from your network have failed. Wait a minute, then try again.

choose-title = Choose an account

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
consent-later = If { $app } asks for more later, we'll ask you again.
consent-allow = Allow
consent-deny = Don't allow

## Back to the app by a form

form-post-title = Back to the app
form-post-do = You're going back to { $app }. If nothing happens, continue by hand.
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
error-code = Error code
error-request-id = Request ID
error-time = Time
error-developers = For developers
error-description = Description
