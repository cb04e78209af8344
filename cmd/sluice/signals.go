package main

import (
	"fmt"
	"os"
	"os/signal"
)

// signalError is that a signal ended the upload.
type signalError struct{ os.Signal }

func (e signalError) Error() string { return fmt.Sprintf("signal: %v", e.Signal) }

// leftError is that a second signal ended the program before it had cleaned up.
type leftError struct{ os.Signal }

func (e leftError) Error() string {
	return fmt.Sprintf("second signal: %v: left without cleaning up", e.Signal)
}

// notifySignals returns the signals that end an upload. One that is ignored from the start, as
// nohup and shells do for programs in the background, stays ignored.
func notifySignals() <-chan os.Signal {
	signals := make(chan os.Signal, 4)
	for _, s := range endingSignals() {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	// A log reader that goes away must not end the upload: writing to it just fails. Ignoring
	// the signal would be inherited by the command.
	signal.Notify(make(chan os.Signal, 1), brokenPipe)
	return signals
}
