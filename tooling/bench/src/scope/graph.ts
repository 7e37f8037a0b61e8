/** The value of one request. */
export interface Request {
  readonly id: string;
}

// Ten nodes: an application resource, a per-request value, and eight that a request makes. Access and Cart close a
// diamond each. Every container builds these same classes, by constructor.
export class Settings {
  readonly region = "north";
}

export class Trace {
  readonly request: Request;
  readonly settings: Settings;
  constructor(request: Request, settings: Settings) {
    this.request = request;
    this.settings = settings;
  }
}

export class User {
  readonly trace: Trace;
  constructor(trace: Trace) {
    this.trace = trace;
  }
}

export class Tenant {
  readonly trace: Trace;
  constructor(trace: Trace) {
    this.trace = trace;
  }
}

export class Access {
  readonly user: User;
  readonly tenant: Tenant;
  constructor(user: User, tenant: Tenant) {
    this.user = user;
    this.tenant = tenant;
  }
}

export class Orders {
  readonly access: Access;
  constructor(access: Access) {
    this.access = access;
  }
}

export class Stock {
  readonly access: Access;
  readonly settings: Settings;
  constructor(access: Access, settings: Settings) {
    this.access = access;
    this.settings = settings;
  }
}

export class Cart {
  readonly orders: Orders;
  readonly stock: Stock;
  constructor(orders: Orders, stock: Stock) {
    this.orders = orders;
    this.stock = stock;
  }
}

export class Page {
  readonly cart: Cart;
  readonly request: Request;
  constructor(cart: Cart, request: Request) {
    this.cart = cart;
    this.request = request;
  }
}

/** Throws unless two pages share what they must, and only that. */
export function verify(first: Page, firstRequest: Request, second: Page, secondRequest: Request): void {
  const { access } = first.cart.orders;
  const claims: readonly (readonly [string, boolean])[] = [
    // By its id: InferDI copies what is in the request into an object of the scope.
    ["the page has its own request", first.request.id === firstRequest.id && second.request.id === secondRequest.id],
    ["so has the trace", access.user.trace.request === first.request],
    ["a diamond is built once", first.cart.stock.access === access && access.user.trace === access.tenant.trace],
    ["requests do not share", second.cart !== first.cart && second.cart.orders.access !== access],
    ["requests share the settings", first.cart.stock.settings === second.cart.stock.settings],
    ["the settings are one", access.user.trace.settings === first.cart.stock.settings],
    ["classes are what they should be", first instanceof Page && access instanceof Access],
  ];
  for (const [claim, holds] of claims) if (!holds) throw new Error(`not the same graph: ${claim} does not hold`);
}
