# Counts words, turns some around, and looks for shapes with regular expressions.
use strict;
use warnings;
my (%count, %shape);
my $turned = 0;
while (my $line = <>) {
    for my $word ($line =~ /\b([a-z]+)\b/gi) {
        $count{lc $word}++;
        $shape{$1}++ if $word =~ /([aeiou][^aeiou]+[aeiou])/;
    }
    $turned += length $line if $line =~ s/(\w+) of (\w+)/$2 $1/g;
}
print scalar(keys %count), " ", scalar(keys %shape), " $turned\n";
my @order = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
print "$_ $count{$_}\n" for @order[0 .. 19];
