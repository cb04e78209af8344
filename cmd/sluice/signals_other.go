//go:build !unix

package main

import (
	"os"
	"syscall"
)

const brokenPipe = syscall.SIGPIPE

func endingSignals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// sendSignal kills: there is nothing gentler to send.
func sendSignal(p *os.Process, _ os.Signal) error { return p.Kill() }

// inForeground reports true: a console sends its interrupt to every process attached to it.
func inForeground() bool { return true }
