package sluice

import "slices"

// readAccount is one reader's standing with its Pool. A reader asks for the
// pages of one range at a time, and does not wait: ready has a token once they
// are granted. One goroutine asks; pages may be released by any.
type readAccount struct {
	pool *Pool
	share
}

func (p *Pool) readAccount() *readAccount {
	return &readAccount{p, share{ready: make(chan struct{}, 1)}}
}

// readersOnly lets readers have all pages. No writer may use the Pool.
func (p *Pool) readersOnly() { p.readMax = p.pages }

func (a *readAccount) ask(n int) {
	p := a.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holdRead(a, 0, n)
	p.reads = append(p.reads, a)
	p.grant()
}

// release gives n pages back. memory is what was taken for them, if anything
// was.
func (a *readAccount) release(n int, memory []byte) {
	p := a.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if memory != nil {
		p.free = append(p.free, memory)
	}
	p.holdRead(a, -n, a.want)
	p.grant()
}

// withdraw takes back what was asked for, granted or not. n is what was asked
// for.
func (a *readAccount) withdraw(n int) {
	p := a.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-a.ready:
		p.holdRead(a, -n, 0)
	default:
		i := slices.Index(p.reads, a)
		p.reads = slices.Delete(p.reads, i, i+1)
		p.holdRead(a, 0, 0)
	}
	p.grant()
}

func (p *Pool) holdRead(a *readAccount, add, want int) {
	a.hold(add, want, &p.reading, &p.readers)
}

// grantReads serves the readers in order until the next one does not fit, and
// returns how many pages that one awaits, 0 if it may not have them because
// other readers do. A reader over its equal share is passed over, unless it
// holds nothing.
func (p *Pool) grantReads() (awaited int) {
	for i := 0; i < len(p.reads); {
		a := p.reads[i]
		if a.held > 0 && a.held+a.want > p.readMax/p.readers {
			i++
			continue
		}
		with := p.reading + a.want
		if with > p.readMax {
			return 0
		}
		if p.first+with > max(p.firstMax, p.readMax) || p.first+p.claimed+with > p.pages {
			return a.want
		}
		p.reads = append(p.reads[:i], p.reads[i+1:]...)
		p.holdRead(a, a.want, 0)
		a.ready <- struct{}{}
	}
	return 0
}
