// The one normalisation and rounding to a format (1, E, M); whatever is too large saturates.
//
// The value is magnitude + sticky·(less than one unit of its last bit); its first bit has the
// biased exponent `exponent`, so a number whose first bit is set is normal where exponent >= 1.
module fp_round #(
    parameter E = 5,
    parameter M = 10,         // fraction bits, at least 1
    parameter SUBNORMALS = 1, // 0: what rounds to less than the smallest normal number is zero
    parameter ROUNDING = 0,   // 0 nearest, ties to even; 1 toward zero; 2 stochastic
    parameter R = 1,          // random bits of a stochastic rounding
    parameter W = 24,
    parameter X = 7,          // bits of the exponent, a signed number
    parameter LEADING = W - 1, // the most zeros that the magnitude can begin with
    // 1 where bits below the format's lowest grid may begin a result: with subnormals because
    // exponent < 1 occurs, without because a result may round up to the smallest number
    parameter BELOW = 1
) (
    input sign,
    input [W-1:0] magnitude,
    input sticky,
    input signed [X-1:0] exponent,
    input [R-1:0] random,
    output [E+M:0] result
);
    localparam GUARD = ROUNDING == 0 ? 2 : ROUNDING == 2 ? R : 0;
    localparam V = W > M + 1 + GUARD ? W : M + 1 + GUARD;
    localparam C = LEADING > 0 ? $clog2(LEADING + 1) : 1;
    localparam Y = (X > E + 1 ? X : E + 1) + (X > C ? 1 : C - X + 1);  // no exponent overflows

    wire [V-1:0] wide = magnitude;
    wire [V-1:0] padded = wide << (V - W);
    wire signed [Y-1:0] first = exponent;

    wire [C-1:0] zeros;
    generate
        if (LEADING > 0) begin : count
            wire none;
            leading_zeros #(.W(LEADING + 1)) zeros_of (
                .x(magnitude[W-1-:LEADING+1]), .count(zeros), .none(none)
            );
        end else begin : normalised
            assign zeros = 1'b0;
        end
    endgenerate

    wire signed [Y-1:0] field = first - $signed({1'b0, zeros});
    wire [V-1:0] n;     // the first bit is the hidden one
    wire rest;          // anything below n
    wire normal;
    generate
        if (SUBNORMALS) begin : gradual
            // the grid stops at that of exponent 1
            wire [C-1:0] room = first - 1;
            wire [V-1:0] low;
            assign normal = field > 0;
            if (BELOW) begin : under
                localparam S = $clog2(V + 1);
                wire signed [Y-1:0] drop = 1 - first;
                wire far = drop >= V;
                wire [S-1:0] some = drop;
                wire [S-1:0] amount = first > 0 ? {S{1'b0}} : far ? {S{1'b1}} : some;
                wire fallen;
                shift_right_sticky #(.W(V), .S(S)) drop_to_grid (
                    .x(padded), .amount(amount), .y(low), .sticky(fallen)
                );
                assign rest = sticky | fallen;
                assign n = low << (normal ? zeros : first > 0 ? room : {C{1'b0}});
            end else begin : on
                assign low = padded;
                assign rest = sticky;
                assign n = low << (normal ? zeros : room);
            end
        end else begin : flushed
            wire [V-1:0] shifted = padded << zeros;
            if (BELOW) begin : under
                // one binade below the smallest number: it may still round up to it
                wire half = field == 0;
                assign n = half ? shifted >> 1 : shifted;
                assign rest = sticky | (half & shifted[0]);
                assign normal = field >= 0;
            end else begin : on
                assign n = shifted;
                assign rest = sticky;
                assign normal = field > 0;
            end
        end
    endgenerate

    wire up;
    generate
        if (ROUNDING == 0) begin : nearest
            wire half = n[V-M-2];
            assign up = half & (n[V-M-1] | rest | (|n[V-M-3:0]));
        end else if (ROUNDING == 2) begin : stochastic
            wire [R:0] drawn = n[V-M-2-:R] + random;
            assign up = drawn[R];
        end else begin : truncated
            assign up = 1'b0;
        end
    endgenerate

    wire [Y-1:0] stored = n[V-1] ? field : {Y{1'b0}};
    wire [Y+M-1:0] code = {stored, n[V-2-:M]} + up;
    wire over = |code[Y+M-1:E+M];
    wire nothing = !SUBNORMALS && (!normal || code[Y+M-1:M] == 0);
    assign result = nothing ? {(E+M+1){1'b0}} : {sign, over ? {(E+M){1'b1}} : code[E+M-1:0]};
endmodule
