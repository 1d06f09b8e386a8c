/**
 * A host that answers what a test says, for everything in this process that speaks HTTP (nock underneath).
 *
 * What nock leaves to be forgotten is forced here: no other host can be reached; a request that nothing was
 * prepared for fails the test (nock itself would answer it with 501); so does an answer that nobody asked for;
 * and answers are functions of the one web `Request` only (with two parameters they would hang for ever).
 */
import nock from 'nock';

export interface CannedAnswer {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Before the answer begins. */
  readonly delayMs?: number;
}

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface CannedHost {
  /** In the order in which they came. */
  readonly seen: readonly SeenRequest[];
  /** Prepares this answer for the next request, or the next `times` of them. */
  answer(answer: CannedAnswer | ((request: SeenRequest) => CannedAnswer), times?: number): void;
  /** The next `times` connections break with this code of the system. */
  breakWith(code: string, times?: number): void;
  /** Answers that nobody has asked for yet. */
  pending(): number;
  /** Throws when something was asked for that was not prepared, or prepared and not asked for. */
  close(): void;
}

/** `origin` such as `https://elasticloadbalancing.eu-west-1.amazonaws.com`. One at a time in a process. */
export function cannedHost(origin: string): CannedHost {
  if (!nock.isActive()) nock.activate();
  nock.disableNetConnect();
  const seen: SeenRequest[] = [];
  const unmatched: string[] = [];
  const onNoMatch = (request: Request): void => {
    unmatched.push(`${request.method} ${request.url}`);
  };
  nock.emitter.on('no match', onNoMatch);
  const note = async (request: Request): Promise<SeenRequest> => {
    const one: SeenRequest = {
      method: request.method,
      url: request.url,
      headers: Object.fromEntries(request.headers),
      body: await request.clone().text(),
    };
    seen.push(one);
    return one;
  };
  return {
    seen,
    answer(answer, times = 1) {
      const reply = async (request: Request): Promise<[number, string, Record<string, string>]> => {
        const one = await note(request);
        const {
          status,
          body,
          headers = {},
          delayMs = 0,
        } = typeof answer === 'function' ? answer(one) : answer;
        if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
        return [status, body, { ...headers }];
      };
      nock(origin).post('/').times(times).reply(reply);
    },
    breakWith(code, times = 1) {
      const error = Object.assign(new Error(`connection failed: ${code}`), { code });
      nock(origin).post('/').times(times).replyWithError(error);
    },
    pending: () => nock.pendingMocks().length,
    close() {
      const left = nock.pendingMocks();
      nock.emitter.off('no match', onNoMatch);
      nock.cleanAll();
      nock.enableNetConnect();
      nock.restore();
      if (unmatched.length > 0) throw new Error(`nothing was prepared for: ${unmatched.join(', ')}`);
      if (left.length > 0) throw new Error(`nobody asked for: ${left.join(', ')}`);
    },
  };
}
