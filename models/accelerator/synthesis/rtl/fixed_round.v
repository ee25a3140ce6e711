// A significand with its point behind the first bit, times 2^shift, rounded to a two's-complement
// integer of W bits; what does not fit saturates. One that begins with a zero has shift < W.
module fixed_round #(
    parameter P = 11,
    parameter X = 6,         // bits of the shift, a signed number
    parameter W = 16,
    parameter ROUNDING = 0,  // 0 nearest, ties to even; 1 toward zero; 2 stochastic
    parameter R = 1          // random bits of a stochastic rounding
) (
    input sign,
    input [P-1:0] significand,
    input signed [X-1:0] shift,
    input [R-1:0] random,
    output [W-1:0] y
);
    localparam G = ROUNDING == 0 ? 1 : R;  // bits below the point
    localparam V = P > W + G ? P : W + G;  // W of them before the point
    localparam S = $clog2(V + 1);
    localparam Z = (X > S ? X : S) + 2;

    wire signed [Z-1:0] drop = W - 1 - shift;
    wire far = drop >= V;
    wire [S-1:0] amount = far ? {S{1'b1}} : drop[S-1:0];
    wire [V-1:0] wide = significand;
    wire [V-1:0] n;
    wire rest;
    shift_right_sticky #(.W(V), .S(S)) align (
        .x(wide << (V - P)), .amount(amount), .y(n), .sticky(rest)
    );
    wire [W-1:0] whole = n[V-1-:W];
    wire [V-W:0] below = n << 1;  // and an idle bit, so that there is one
    wire up;
    generate
        if (ROUNDING == 0) begin : nearest
            assign up = below[V-W] & (n[V-W] | rest | (|below[V-W-1:0]));
        end else if (ROUNDING == 2) begin : stochastic
            wire [R:0] drawn = below[V-W-:R] + random;
            assign up = drawn[R];
        end else begin : truncated
            assign up = 1'b0;
        end
    endgenerate
    wire [W:0] magnitude = whole + up;
    wire over = drop < 0 & (|significand);
    // one more is there below zero than above it
    wire [W:0] most = {2'b0, {(W-1){1'b1}}} + sign;
    wire [W-1:0] kept = over | magnitude > most ? most : magnitude;
    assign y = sign ? -kept : kept;
endmodule
