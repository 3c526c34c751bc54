# An SMPP 3.4 provider on loopback, by Net::SMPP. It takes one ESME after another and tells on standard
# output what it saw, tab-separated. Numbers choose what becomes of their SMS: ending in 58 it is
# throttled the first time, in 08 the system fails, in 11 it is refused, in 99 it hangs up without an answer.
use strict;
use warnings;
use Net::SMPP;

$| = 1;
my %throttled;
my $listener = Net::SMPP->new_listen('127.0.0.1', port => $ARGV[0] // 0, smpp_version => 0x34) or die "cannot listen: $!";
# Its accept gives up after five seconds otherwise.
$listener->timeout(undef);
print "port\t", $listener->sockport, "\n";
while (my $link = $listener->accept) {
    ${*$link}{$_} = ${*$listener}{$_} for grep { defined ${*$listener}{$_} && !defined ${*$link}{$_} } keys %{*$listener};
    while (my $pdu = $link->read_pdu) {
        my $cmd = $pdu->{cmd};
        if ($cmd == Net::SMPP::CMD_bind_transmitter) {
            my $known = $pdu->{system_id} eq 'shunt' && $pdu->{password} eq 'secret';
            $link->bind_transmitter_resp(seq => $pdu->{seq}, status => $known ? 0 : 0x0e, system_id => 'provider');
            print join("\t", 'bind', $known ? 'taken' : 'refused', sprintf('%#x', $pdu->{interface_version})), "\n";
        } elsif ($cmd == Net::SMPP::CMD_submit_sm) {
            my $to = $pdu->{destination_addr};
            print join("\t", 'sms', $pdu->{source_addr}, $to, $pdu->{data_coding}, $pdu->{validity_period}, $pdu->{short_message}), "\n";
            last if $to =~ /99$/;
            # A provider may ask as well, even before it answers.
            $link->enquire_link(async => 1);
            my $status = $to =~ /58$/ && !$throttled{$to}++ ? 0x58 : $to =~ /08$/ ? 0x08 : $to =~ /11$/ ? 0x0b : 0;
            $link->submit_sm_resp(seq => $pdu->{seq}, status => $status, message_id => '1');
        } elsif ($cmd == Net::SMPP::CMD_enquire_link) {
            $link->enquire_link_resp(seq => $pdu->{seq});
        } elsif ($cmd == Net::SMPP::CMD_enquire_link_resp) {
            print "alive\n";
        } elsif ($cmd == Net::SMPP::CMD_unbind) {
            $link->unbind_resp(seq => $pdu->{seq});
            last;
        }
    }
    print "gone\n";
    close $link;
}
