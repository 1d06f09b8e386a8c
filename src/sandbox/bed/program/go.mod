module sluice.dev/packets

go 1.26.0
