# A personal script of a usual kind, for measuring: 200 lines.
require ["fileinto", "envelope", "variables", "imap4flags", "relational",
    "subaddress", "comparator-i;ascii-numeric", "copy"];

# Noise first.
if anyof (
    header :contains "subject" ["viagra", "lottery", "casino", "million dollars"],
    header :contains "x-spam-flag" "yes",
    address :domain :is "from" ["spam.example", "junk.example", "bulk.example"]
) {
    fileinto "Junk";
    stop;
}

# The list ietf-smtp.
if anyof (
    header :contains "list-id" "<ietf-smtp.lists.example.org>",
    address :is ["to", "cc"] "ietf-smtp@lists.example.org"
) {
    fileinto "Lists/ietf-smtp";
    stop;
}
# The list ietf-822.
if anyof (
    header :contains "list-id" "<ietf-822.lists.example.org>",
    address :is ["to", "cc"] "ietf-822@lists.example.org"
) {
    fileinto "Lists/ietf-822";
    stop;
}
# The list sieve.
if anyof (
    header :contains "list-id" "<sieve.lists.example.org>",
    address :is ["to", "cc"] "sieve@lists.example.org"
) {
    fileinto "Lists/sieve";
    stop;
}
# The list imapext.
if anyof (
    header :contains "list-id" "<imapext.lists.example.org>",
    address :is ["to", "cc"] "imapext@lists.example.org"
) {
    fileinto "Lists/imapext";
    stop;
}
# The list dmarc.
if anyof (
    header :contains "list-id" "<dmarc.lists.example.org>",
    address :is ["to", "cc"] "dmarc@lists.example.org"
) {
    fileinto "Lists/dmarc";
    stop;
}
# The list dkim-ops.
if anyof (
    header :contains "list-id" "<dkim-ops.lists.example.org>",
    address :is ["to", "cc"] "dkim-ops@lists.example.org"
) {
    fileinto "Lists/dkim-ops";
    stop;
}
# The list mailop.
if anyof (
    header :contains "list-id" "<mailop.lists.example.org>",
    address :is ["to", "cc"] "mailop@lists.example.org"
) {
    fileinto "Lists/mailop";
    stop;
}
# The list rust-users.
if anyof (
    header :contains "list-id" "<rust-users.lists.example.org>",
    address :is ["to", "cc"] "rust-users@lists.example.org"
) {
    fileinto "Lists/rust-users";
    stop;
}
# The list debian-devel.
if anyof (
    header :contains "list-id" "<debian-devel.lists.example.org>",
    address :is ["to", "cc"] "debian-devel@lists.example.org"
) {
    fileinto "Lists/debian-devel";
    stop;
}
# The list kernel.
if anyof (
    header :contains "list-id" "<kernel.lists.example.org>",
    address :is ["to", "cc"] "kernel@lists.example.org"
) {
    fileinto "Lists/kernel";
    stop;
}
# The list netdev.
if anyof (
    header :contains "list-id" "<netdev.lists.example.org>",
    address :is ["to", "cc"] "netdev@lists.example.org"
) {
    fileinto "Lists/netdev";
    stop;
}

set "priority" "0";
if allof (address :localpart :is "from" "boss", address :domain "from" "work.example") {
    set "priority" "1";
    addflag "\\Flagged";
    fileinto "Work/Boss";
}
if allof (address :localpart :is "from" "payroll", address :domain "from" "work.example") {
    set "priority" "1";
    addflag "\\Flagged";
    fileinto "Work/Payroll";
}
if allof (address :localpart :is "from" "hr", address :domain "from" "work.example") {
    set "priority" "1";
    addflag "\\Flagged";
    fileinto "Work/HR";
}
if allof (address :localpart :is "from" "ops", address :domain "from" "work.example") {
    set "priority" "1";
    addflag "\\Flagged";
    fileinto "Work/Ops";
}
if allof (address :localpart :is "from" "board", address :domain "from" "work.example") {
    set "priority" "1";
    addflag "\\Flagged";
    fileinto "Work/Board";
}
if allof (address :localpart :is "from" "legal", address :domain "from" "work.example") {
    set "priority" "1";
    addflag "\\Flagged";
    fileinto "Work/Legal";
}

if header :matches "subject" "[JIRA] (*) *" {
    fileinto "Jira/${1}";
    stop;
}
if header :matches "subject" "[GitHub] *: *" {
    fileinto "GitHub/${1}";
    stop;
}
if header :matches "subject" "Re: [PATCH v? ?/*] *" {
    fileinto "Patches/${1}";
    stop;
}
if header :matches "subject" "*invoice*#*" {
    fileinto "Invoices/${1}";
    stop;
}
if header :matches "subject" "Your order * has shipped*" {
    fileinto "Orders/${1}";
    stop;
}
if header :matches "subject" "Build #* failed: *" {
    fileinto "Builds/${1}";
    stop;
}

if envelope :domain "from" ["bounces.example.net", "mailer.example.net"] {
    addflag "$Bounce";
}
if envelope :detail "to" "shop" {
    fileinto "Shop";
    stop;
}
if header :value "lt" :comparator "i;ascii-numeric" "x-priority" "3" {
    addflag "\\Flagged";
}
if address :count "gt" :comparator "i;ascii-numeric" ["to", "cc"] "20" {
    addflag "$Crowd";
}

if header :matches "x-mailer" "*Outlook*" {
    set :lower "client" "outlook";
} elsif header :matches "user-agent" "*Thunderbird/*" {
    set :lower "client" "Thunderbird ${2}";
} else {
    set "client" "other";
}
if header :contains "subject" ["project-1", "milestone 1"] {
    fileinto "Projects/1";
    stop;
}
if size :over 20M {
    addflag "$Large";
}
if allof (not exists "list-id", size :under 50K, header :contains "from" "friend") {
    addflag "$Friend";
}
if address :all :matches "from" "*@*.example.com" {
    set "domain" "${2}";
    fileinto "Correspondents/${domain}";
    stop;
}
if string :is "${client}" "outlook" {
    addflag "$Outlook";
}
keep;
