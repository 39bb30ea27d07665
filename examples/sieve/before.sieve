# A script of the site, run before everybody's own: what tests of the server
# found to be spam goes to Junk, whatever own scripts say.
require ["fileinto", "mailbox", "special-use", "spamtestplus", "relational",
         "comparator-i;ascii-numeric"];

if spamtest :percent :value "ge" :comparator "i;ascii-numeric" "80" {
    fileinto :specialuse "\\Junk" :create "Junk";
    stop;
}
