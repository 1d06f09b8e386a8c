// Clients that go on until they are closed: a prober, a flow of datagrams, an open connection.
package main

import (
	"fmt"
	"sync"
	"time"
)

type probeArgs struct {
	dialArgs
	EveryUs int `json:"everyUs"`
}

// attempt: start and duration in microseconds, kind, and who answered.
type attempt [4]any

type prober struct {
	lock     sync.Mutex
	attempts []attempt
	last     string
	stop     chan struct{}
	group    sync.WaitGroup
}

// startProbe makes a fresh connection at each turn, whether or not earlier ones have been answered.
func startProbe(args probeArgs) (any, error) {
	if args.EveryUs <= 0 {
		return nil, fmt.Errorf("everyUs must be above 0")
	}
	made := &prober{stop: make(chan struct{})}
	go made.run(time.Duration(args.EveryUs)*time.Microsecond, func() (string, string) {
		one := dial(args.dialArgs)
		return one.Kind, one.Self
	})
	return open(made), nil
}

func (p *prober) run(every time.Duration, try func() (kind, self string)) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
		}
		p.group.Add(1)
		go func() {
			defer p.group.Done()
			begun := nowUs()
			kind, self := try()
			took := nowUs() - begun
			p.lock.Lock()
			p.attempts = append(p.attempts, attempt{begun, took, kind, self})
			p.last = kind
			p.lock.Unlock()
		}()
	}
}

// peek hands over what has come in since the last time.
func (p *prober) peek() any {
	p.lock.Lock()
	defer p.lock.Unlock()
	attempts := p.attempts
	p.attempts = nil
	if attempts == nil {
		attempts = []attempt{}
	}
	return attempts
}

func (p *prober) close() any {
	close(p.stop)
	p.group.Wait()
	return p.peek()
}

type flowArgs struct {
	dialArgs
	EveryUs int `json:"everyUs"`
}

// startFlow sends datagrams over one socket, so from one source port, and notes who answers each.
func startFlow(args flowArgs) (any, error) {
	if args.EveryUs <= 0 {
		return nil, fmt.Errorf("everyUs must be above 0")
	}
	args.Protocol = "UDP"
	c, err := connect(args.dialArgs)
	if err != nil {
		return nil, err
	}
	timeout := time.Duration(max(args.TimeoutMs, 1)) * time.Millisecond
	made := &flow{prober: prober{stop: make(chan struct{})}, client: c}
	made.group.Add(1)
	go func() {
		defer made.group.Done()
		ticker := time.NewTicker(time.Duration(args.EveryUs) * time.Microsecond)
		defer ticker.Stop()
		for {
			select {
			case <-made.stop:
				return
			case <-ticker.C:
			}
			begun := nowUs()
			_ = c.file.SetDeadline(time.Now().Add(timeout))
			result, err := c.ask(args.Size)
			kind := "answered"
			if err != nil {
				kind = kindOf(err)
			}
			made.lock.Lock()
			made.attempts = append(made.attempts, attempt{begun, nowUs() - begun, kind, result.Self})
			made.lock.Unlock()
		}
	}()
	return open(made), nil
}

type flow struct {
	prober
	client *client
}

func (f *flow) close() any {
	result := f.prober.close()
	f.client.hangUp()
	return result
}

// held is an open TCP connection; each peek sends a byte through it and waits for the echo.
type held struct {
	client  *client
	timeout time.Duration
	first   outcome
}

func startHold(args dialArgs) (any, error) {
	c, err := connect(args)
	if err != nil {
		return nil, err
	}
	made := &held{client: c, timeout: time.Duration(max(args.TimeoutMs, 1)) * time.Millisecond}
	_ = c.file.SetDeadline(time.Now().Add(made.timeout))
	if err := c.established(); err != nil {
		c.hangUp()
		return nil, err
	}
	line := make([]byte, 2048)
	size, err := c.file.Read(line)
	if err != nil {
		c.hangUp()
		return nil, err
	}
	made.first = c.read(line[:size])
	made.first.Kind = "answered"
	return open(made), nil
}

func (h *held) peek() any {
	result := h.first
	begun := nowUs()
	_ = h.client.file.SetDeadline(time.Now().Add(h.timeout))
	one := make([]byte, 1)
	_, err := h.client.file.Write(one)
	if err == nil {
		_, err = h.client.file.Read(one)
	}
	result.Us = nowUs() - begun
	if err != nil {
		result.Kind, result.Error = kindOf(err), err.Error()
	}
	return result
}

func (h *held) close() any {
	h.client.hangUp()
	return true
}
