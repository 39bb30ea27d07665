# What a person's script may look like: lists and reports in folders of their
# own, what was seen before dropped, an answer while away.
require ["fileinto", "mailbox", "imap4flags", "variables", "duplicate",
         "vacation", "date", "relational"];

# The same message by two ways: one copy is enough.
if duplicate { discard; stop; }

# Mail of a list to a folder called after it, made when it is missing.
if header :matches "List-Id" "*<*.*>*" {
    set :lower "list" "${2}";
    fileinto :create "Lists/${list}";
    stop;
}

if header :matches "Subject" "[report] *" {
    fileinto :create :flags ["\\Seen", "$Report"] "Reports";
    stop;
}

# Between Christmas and Epiphany.
if allof (currentdate :value "ge" "date" "2026-12-24",
          currentdate :value "le" "date" "2027-01-06") {
    vacation :days 7 :subject "Away until 7 January"
        "I'm back on 7 January and read your message then.";
}
